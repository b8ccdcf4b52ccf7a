#include "recovery/space_plan.hpp"

#include <algorithm>
#include <array>
#include <limits>
#include <string_view>

#include "base/byte_size.hpp"
#include "base/joined.hpp"
#include "recovery/candidates.hpp"

namespace hasup::recovery {
namespace {

constexpr auto most = std::numeric_limits<std::uint64_t>::max();

// Sizes come from other hosts.
std::uint64_t sum(std::uint64_t a, std::uint64_t b) {
  return a > most - b ? most : a + b;
}
std::uint64_t times(std::uint64_t a, std::uint64_t n) {
  return a > most / n ? most : a * n;
}
std::uint64_t less(std::uint64_t a, std::uint64_t b) {
  return a > b ? a - b : 0;
}

bool is_compressed(const model::archive_spec& spec, std::string_view name) {
  constexpr std::array<std::string_view, 13> ends{".zst", ".gz",  ".xz",  ".bz2", ".lz4", ".lzma", ".lz",
                                                  ".br",  ".tgz", ".txz", ".tbz", ".zip", ".7z"};
  if (std::any_of(ends.begin(), ends.end(), [&](auto end) { return name.ends_with(end); })) return true;
  return spec.unpack == model::unpack_mode::archive && !name.ends_with(".tar");
}

void add_unpacked(space_need& need, const model::archive_spec& spec, const model::snapshot& s) {
  const auto size = s.size.value_or(0);
  const bool packed = spec.unpack != model::unpack_mode::none && is_compressed(spec, s.name);
  // A whole file that only lies beside the data is the one in the cache, by another name.
  if (!packed && spec.unpack != model::unpack_mode::archive && !spec.as.empty()) return;
  if (packed && s.unpacked) {
    need.unpacked = sum(need.unpacked, *s.unpacked);
    return;
  }
  need.guessed = need.guessed || packed;
  const auto as_it_is = spec.unpack == model::unpack_mode::none ? size : s.unpacked.value_or(size);
  need.unpacked = sum(need.unpacked, packed ? times(size, guessed_ratio) : as_it_is);
}

std::string text_of(const space_need& need) {
  std::string out = base::format_byte_size(need.to_fetch()) + " to fetch";
  out += ", " + base::format_byte_size(need.unpacked) + " unpacked";
  if (need.guessed)
    out += ", which is a guess of " + std::to_string(guessed_ratio) + " times the archive: no manifest says it";
  if (need.rebuilt > 0)
    out += ", " + base::format_byte_size(need.rebuilt) + " for the state that the node makes of it, as now";
  return out;
}

}  // namespace

std::uint64_t space_need::to_fetch() const {
  std::uint64_t all = 0;
  for (const auto& a : archives) all = sum(all, a.to_fetch);
  return all;
}

std::uint64_t space_need::total() const {
  return sum(sum(to_fetch(), unpacked), rebuilt);
}

space_need space_need_of(const ports::candidate& c, const model::recovery_plan& plan, const ports::room_found& room) {
  space_need need;
  for (std::size_t i = 0; i < c.snapshots.size() && i < plan.archives.size(); ++i) {
    const auto& s = c.snapshots[i];
    if (!s.size) {
      need.unknown = true;
      continue;
    }
    auto here = std::uint64_t{0};
    for (const auto& file : room.cached)
      if (file.name == s.name && (!file.whole || file.bytes >= *s.size)) here = std::max(here, file.bytes);
    need.archives.push_back({s.name, less(*s.size, here)});
    add_unpacked(need, plan.archives[i], s);
    if (!plan.archives[i].as.empty() && c.plan < room.state.size()) need.rebuilt = room.state[c.plan];
  }
  if (c.plan < room.freed.size()) need.freed = room.freed[c.plan];
  need.plan = c.plan;
  return need;
}

std::uint64_t share_of(const space_need& need, const ports::volume_room& volume, unsigned plan,
                       const ports::room_found& room) {
  const auto at = [plan](const std::vector<std::uint64_t>& of) { return plan < of.size() ? of[plan] : 0; };
  auto all = at(room.state);
  for (const auto& v : room.volumes) all = sum(all, at(v.state));
  const auto here = at(volume.state);
  if (all == 0) return 0;  // nothing is known: copying it there looks for itself
  const auto part = static_cast<double>(here) / static_cast<double>(all);
  return sum(static_cast<std::uint64_t>(static_cast<double>(need.unpacked) * part), need.rebuilt > 0 ? here : 0);
}

namespace {

// What the volumes lack, for a person; "" = nothing.
std::string short_in_volumes(const std::string& data_dir, const space_need& need, const ports::room_found& room,
                             std::uint64_t min_free, bool in_place) {
  if (need.unknown) return {};
  for (const auto& v : room.volumes) {
    const auto needed = share_of(need, v, need.plan, room);
    const auto freed = in_place && need.plan < v.freed.size() ? v.freed[need.plan] : 0;
    const auto have = sum(less(sum(v.free_bytes, v.staging), min_free), freed);
    if (needed <= have) continue;
    return "; " + data_dir + "/" + v.path + " has " + base::format_byte_size(have) + " for the " +
           base::format_byte_size(needed) +
           " of it that come there, by what is there now: " + base::format_byte_size(needed - have) + " short, if so";
  }
  return {};
}

space_plan reckon(const std::string& name, const std::string& data_dir, const space_need& need,
                  const ports::room_found& room, std::uint64_t min_free, bool in_place) {
  space_plan out;
  out.text = name + " needs " + base::format_byte_size(need.total()) + " (" + text_of(need) + ")";
  if (need.unknown) out.text += " and an archive whose size nobody says";
  out.text += "; " + data_dir + " has " + base::format_byte_size(room.free_bytes) + " free";
  if (room.staging > 0)
    out.text += " and " + base::format_byte_size(room.staging) + " that an earlier try unpacked and that go first";
  if (in_place) out.text += " and " + base::format_byte_size(need.freed) + " that the old state takes";
  if (min_free > 0) out.text += ", " + base::format_byte_size(min_free) + " must stay free (data.min_free)";
  if (room.promised > 0)
    out.text +=
        ", " + base::format_byte_size(room.promised) + " are for the recovery of " + base::joined(room.promised_to);
  const auto have = less(sum(room.free_bytes, room.staging), sum(min_free, room.promised));
  auto missing = less(need.total(), in_place ? sum(have, need.freed) : have);
  if (in_place)
    missing = std::max(missing, less(need.to_fetch(), have));  // the archives come while it is still there
  const auto elsewhere = short_in_volumes(data_dir, need, room, min_free, in_place);
  // Of the volumes it is a guess. It is good enough to keep what would be deleted before the new state is seen to
  // fit.
  out.fits = (need.unknown || missing == 0) && (elsewhere.empty() || !in_place);
  out.text += elsewhere;
  if (out.fits) return out;
  if (missing > 0) out.text += ": " + base::format_byte_size(missing) + " short";
  out.text += ". Make room there";
  std::uint64_t others = 0;
  for (const auto& file : room.cached) others = sum(others, file.bytes);
  if (others > 0)
    out.text += " (" + base::format_byte_size(others) + " are archives in " + data_dir + "/.hasup/cache)";
  if (min_free > 0) out.text += ", or lower data.min_free";
  return out;
}

// Why the old state is not deleted without being told, though nothing else would fit; "" = it may be.
std::string kept_because(const frozen& plan, const space_need& need, const ports::room_found& room) {
  if (!plan.asked.by_hand && !plan.asked.explained) return "no class of the recipe explains what has happened";
  if (need.guessed || need.unknown) return "how large the new one will be is not known";
  if (!room.volumes.empty()) return "how much of the new one comes to its volumes is not known";
  return {};
}

}  // namespace

space_plan plan_space(const std::string& name, const std::string& data_dir, const space_need& need,
                      const ports::room_found& room, std::uint64_t min_free) {
  return reckon(name, data_dir, need, room, min_free, false);
}

space_decision decide_space(const frozen& plan, const ports::candidate& c, const ports::room_found& room) {
  const auto need = space_need_of(c, plan.recipe.plans.at(c.plan), room);
  if (c.plan < room.not_swappable.size() && !room.not_swappable[c.plan].empty())
    return {false, false, false, room.not_swappable[c.plan], need};
  const auto name = name_of(c);
  const auto staged = plan_space(name, plan.data_dir, need, room, plan.min_free);
  const bool told = plan.space == model::space_policy::in_place;
  const bool nothing_there =
      need.freed == 0 && std::all_of(room.volumes.begin(), room.volumes.end(), [&](const ports::volume_room& v) {
        return c.plan >= v.freed.size() || v.freed[c.plan] == 0;
      });
  if (plan.space == model::space_policy::stage || nothing_there || (!told && staged.fits))
    return {staged.fits, true, false, staged.text, need};
  const auto in_place = reckon(name, plan.data_dir, need, room, plan.min_free, true);
  if (told) return {in_place.fits, true, true, in_place.text, need};
  if (!in_place.fits) return {false, true, false, staged.text, need};
  const auto kept = kept_because(plan, need, room);
  if (kept.empty()) return {true, true, true, in_place.text + "; there is no room for both", need};
  return {false, true, false,
          staged.text + "; it would fit in the place of the old state, which is not deleted by itself, since " +
              kept + " (recovery.space = \"in_place\" does it)",
          need};
}

std::uint64_t still_to_write(const space_need& need, const ports::worker_progress& progress) {
  if (progress.phase == "stage" && progress.bytes_total && *progress.bytes_total > 0 && need.archives.size() == 1) {
    const auto done = static_cast<double>(progress.bytes_done) / static_cast<double>(*progress.bytes_total);
    const auto bytes = static_cast<std::uint64_t>(static_cast<double>(need.unpacked) * std::min(1.0, done));
    return sum(less(need.unpacked, bytes), need.rebuilt);
  }
  if (progress.phase == "stage") return sum(need.unpacked, need.rebuilt);
  // The room for an archive is taken as a whole before its first byte.
  const auto current = std::find_if(need.archives.begin(), need.archives.end(),
                                    [&](const auto& a) { return a.name == progress.snapshot; });
  if (current == need.archives.end() || (progress.phase == "fetch" && !progress.bytes_total)) return need.total();
  auto left = sum(need.unpacked, need.rebuilt);
  for (auto next = current + 1; next != need.archives.end(); ++next) left = sum(left, next->to_fetch);
  return left;
}

}  // namespace hasup::recovery
