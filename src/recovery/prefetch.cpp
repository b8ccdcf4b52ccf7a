#include "recovery/prefetch.hpp"

#include <algorithm>
#include <set>

#include "base/byte_size.hpp"
#include "base/time_text.hpp"
#include "recovery/candidates.hpp"
#include "recovery/freeze.hpp"
#include "recovery/space_plan.hpp"

namespace hasup::recovery {
namespace {

// An archive whose time nobody says is as old as its fetch.
base::duration age_of(const ports::warm_set& warm, base::wall_time now) {
  base::duration oldest{0};
  for (const auto& s : warm.candidates.front().snapshots)
    oldest = std::max(oldest, std::chrono::duration_cast<base::duration>(now - s.time.value_or(warm.at)));
  return oldest;
}

bool comes_from(const frozen& plan, const ports::candidate& c) {
  return std::all_of(c.snapshots.begin(), c.snapshots.end(), [&](const model::snapshot& s) {
    return std::any_of(plan.sources.begin(), plan.sources.end(),
                       [&](const model::source& source) { return source.url == s.source; });
  });
}

bool same_archives(const ports::candidate& a, const ports::candidate& b) {
  return std::equal(a.snapshots.begin(), a.snapshots.end(), b.snapshots.begin(), b.snapshots.end(),
                    [](const model::snapshot& x, const model::snapshot& y) { return same_key(x) == same_key(y); });
}

std::string text_of(const std::vector<ports::candidate>& candidates) {
  return name_of(candidates.front());
}

prefetch_plan nothing(std::string why, bool is_problem = false) {
  prefetch_plan p;
  p.why = std::move(why);
  p.is_problem = is_problem;
  return p;
}

ports::worker_job background_job(const frozen& plan, ports::worker_mode mode, const ports::candidate& c) {
  auto job = job_of(plan, mode);
  job.chosen = c;
  job.plan = plan.recipe.plans[c.plan];
  job.must_bring = must_be_brought(plan.recipe, job.plan);
  job.background = true;
  return job;
}

std::uint64_t size_of(const ports::candidate& c) {
  std::uint64_t all = 0;
  for (const auto& s : c.snapshots) all += s.size.value_or(0);
  return all;
}

}  // namespace

base::result<std::vector<ports::candidate>> usable(const ports::warm_set& warm, const frozen& plan,
                                                   const memory& remembered, base::wall_time now) {
  if (warm.candidates.empty() || warm.recipe != ports::encode(plan.recipe))
    return base::error{"it was chosen for another recipe"};
  // The file belongs to the unit's user.
  for (const auto& c : warm.candidates)
    if (c.plan >= plan.recipe.plans.size() || c.snapshots.size() != plan.recipe.plans[c.plan].archives.size() ||
        !same_archives(c, warm.candidates.front()) || warm.sha256.size() != c.snapshots.size())
      return base::error{"warm.json is not as hasup writes it"};
  if (plan.checksum == model::checksum_policy::required && !warm.verified)
    return base::error{"nothing verified it, and recovery.checksum is required"};
  if (warm.public_key != plan.public_key) return base::error{"recovery.public_key was another one then"};
  if (!comes_from(plan, warm.candidates.front()))
    return base::error{"its source is none of recovery.source any more"};
  if (plan.max_snapshot_age.count() > 0 && age_of(warm, now) > plan.max_snapshot_age)
    return base::error{name_of(warm.candidates.front()) +
                       " is older than max_snapshot_age = " + base::format_duration(plan.max_snapshot_age)};
  const std::set<std::string> bad(remembered.bad.begin(), remembered.bad.end());
  const auto& archives = warm.candidates.front().snapshots;
  if (std::any_of(archives.begin(), archives.end(), [&](const model::snapshot& s) { return is_bad(s, bad); }) ||
      std::any_of(warm.sha256.begin(), warm.sha256.end(),
                  [&](const std::string& digest) { return bad.contains(bad_key_of_digest(digest)); }))
    return base::error{name_of(warm.candidates.front()) + " is remembered as bad"};
  auto left = allowed(warm.candidates, plan, bad, nullptr);
  if (left.empty()) return base::error{"it is none of the candidates"};
  return left;
}

prefetch_plan plan_prefetch(const frozen& plan, const memory& remembered, const std::optional<ports::warm_set>& have,
                            const ports::room_found& room, const std::vector<ports::candidate>& candidates,
                            std::uint64_t max_size, base::wall_time now) {
  const bool good = have && usable(*have, plan, remembered, now);
  const std::set<std::string> bad(remembered.bad.begin(), remembered.bad.end());
  const auto all = allowed(candidates, plan, bad, nullptr);
  // More than at a recovery: a disk that is nearly full is no place for what is not needed yet.
  const auto spare = std::max(plan.min_free + plan.min_free / 4, room.free_bytes / 10);
  const auto fits = [&](const ports::candidate& c, const space_need& n) {
    return plan_space(name_of(c), plan.data_dir, n, room, spare).fits;
  };
  const auto within = [&](std::uint64_t bytes) { return max_size == 0 || bytes <= max_size; };
  // In place the old state goes first, and what stands unpacked beside it goes with it: it would be done twice.
  const auto may_unpack = [&](const ports::candidate& c, const space_need& n) {
    const bool in_place = plan.space == model::space_policy::in_place && n.freed > 0;
    return !in_place && fits(c, n) && within(size_of(c) + n.unpacked);
  };
  const auto stays = [&](const std::string& why) {
    const auto& c = have->candidates.front();
    const auto need = space_need_of(c, plan.recipe.plans[c.plan], room);
    if (have->unpacked || !may_unpack(c, need)) return nothing(why);
    prefetch_plan p;
    p.what = prefetch_plan::kind::unpack;
    p.why = "unpacking " + name_of(c);
    p.job = background_job(plan, ports::worker_mode::unpack, c);
    p.job.prefetch = *have;
    return p;
  };
  if (all.empty() && good) return stays("the sources have none that fits; " + text_of(have->candidates) + " stays");
  if (all.empty()) return nothing("the sources have no snapshot that fits", true);
  const auto& newest = all.front();
  if (space_need_of(newest, plan.recipe.plans[newest.plan], room).unknown)
    return nothing("nobody says how large " + name_of(newest) + " is", !good);
  if (good && same_archives(have->candidates.front(), newest)) return stays(name_of(newest) + " is the newest");
  if (good && plan.max_snapshot_age.count() > 0 && age_of(*have, now) * 2 < plan.max_snapshot_age)
    return stays(text_of(have->candidates) + " is younger than half of max_snapshot_age");

  prefetch_plan out;
  out.what = prefetch_plan::kind::fetch;
  out.job = background_job(plan, ports::worker_mode::fetch, without_bad_mirrors(newest, remembered));
  out.job.prefetch.emplace();
  out.job.prefetch->recipe = ports::encode(plan.recipe);
  for (const auto& c : all)
    if (same_archives(c, newest)) out.job.prefetch->candidates.push_back(c);

  const auto need = space_need_of(newest, out.job.plan, room);
  const auto archives = size_of(newest);
  out.job.unpack_ahead = may_unpack(newest, need);
  if (out.job.unpack_ahead) {
    out.why = "fetching and unpacking " + name_of(newest);
    return out;
  }
  auto only_archives = need;
  only_archives.unpacked = 0;
  if (fits(newest, only_archives) && within(archives)) {
    const bool in_place = fits(newest, need) && within(archives + need.unpacked);
    out.why = "fetching " + name_of(newest) + ", which is not unpacked before it is needed: " +
              (in_place ? "recovery.space = \"in_place\" deletes the old state first" : "there is no room");
    return out;
  }
  if (have && !good) return {prefetch_plan::kind::drop, "there is no room for " + name_of(newest), false, {}};
  if (!within(archives))
    return nothing(
        name_of(newest) + " is larger than recovery.prefetch.max_size = " + base::format_byte_size(max_size), !good);
  return nothing(plan_space(name_of(newest), plan.data_dir, only_archives, room, spare).text, !good);
}

}  // namespace hasup::recovery
