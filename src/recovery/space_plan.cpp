#include "recovery/space_plan.hpp"

#include <algorithm>
#include <array>
#include <limits>
#include <string_view>

#include "base/byte_size.hpp"

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

std::string listed(const std::vector<std::string>& names) {
  std::string out;
  for (const auto& n : names) out += (out.empty() ? "" : ", ") + n;
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
  return need;
}

space_plan plan_space(const std::string& name, const std::string& data_dir, const space_need& need,
                      const ports::room_found& room, std::uint64_t min_free) {
  space_plan out;
  out.text = name + " needs " + base::format_byte_size(need.total()) + " (" + text_of(need) + ")";
  if (need.unknown) out.text += " and an archive whose size nobody says";
  out.text += "; " + data_dir + " has " + base::format_byte_size(room.free_bytes) + " free";
  if (room.staging > 0)
    out.text += " and " + base::format_byte_size(room.staging) + " that an earlier try unpacked and that go first";
  if (min_free > 0) out.text += ", " + base::format_byte_size(min_free) + " must stay free (data.min_free)";
  if (room.promised > 0)
    out.text += ", " + base::format_byte_size(room.promised) + " are for the recovery of " + listed(room.promised_to);
  const auto have = less(sum(room.free_bytes, room.staging), sum(min_free, room.promised));
  out.fits = need.unknown || need.total() <= have;
  if (out.fits) return out;
  out.text += ": " + base::format_byte_size(need.total() - have) + " short. Make room there";
  std::uint64_t others = 0;
  for (const auto& file : room.cached) others = sum(others, file.bytes);
  if (others > 0)
    out.text += " (" + base::format_byte_size(others) + " are archives in " + data_dir + "/.hasup/cache)";
  if (min_free > 0) out.text += ", or lower data.min_free";
  return out;
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
