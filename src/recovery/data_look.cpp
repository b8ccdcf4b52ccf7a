#include "recovery/data_look.hpp"

#include <algorithm>

#include "base/byte_size.hpp"
#include "base/joined.hpp"
#include "recovery/stepper.hpp"

namespace hasup::recovery {
namespace {

// What swap.json must say where the journal says that the new state is in place.
std::string why_not_swapped(const progress& p, const ports::worker_result& seen) {
  const auto& dir = p.plan.data_dir;
  if (p.at < mark::swapped || p.at == mark::rolling_back) return {};
  const bool in_place = seen.swap_phase == "swapped";
  const bool cleaned = p.at == mark::confirmed && (seen.swap_phase == "confirmed" || !seen.half_swapped);
  if (!in_place && !cleaned) {
    if (!seen.half_swapped)
      return dir +
             " is not as the recovery left it, without .hasup/swap.json: is its volume mounted? If that file was "
             "removed by hand, `hasup recover " +
             p.plan.unit + " --rollback` ends the recovery";
    if (seen.swap_phase.empty()) return dir + "/.hasup/swap.json cannot be read: a person must look";
    return dir + "/.hasup/swap.json says " + seen.swap_phase +
           ", but the journal of the recovery that the new state is in place: a person must look";
  }
  // Without a record only what it left says that this is the place.
  if (seen.half_swapped) return {};
  if (seen.data_dir_empty) return dir + " is empty: is its volume mounted?";
  if (!seen.missing.empty()) return dir + " has no " + base::joined(seen.missing) + ": is its volume mounted?";
  return {};
}

// Before the record of the swap was removed, nothing else said which entry is which.
bool record_is_gone(const progress& p, const ports::worker_result& seen) {
  const bool in_place = p.at >= mark::swapped && p.at != mark::rolling_back && p.at != mark::confirmed;
  return in_place && seen.ok() && !seen.half_swapped;
}

// A roll back must see the directory itself. What else is in its way it tells of.
bool can_be_undone(const ports::worker_result& seen) {
  return seen.data_dir_exists && seen.has_own_dir && seen.mounted;
}

}  // namespace

std::string why_not_mounted(const std::string& dir, const ports::worker_result& seen) {
  if (seen.mounted) return {};
  auto why = seen.unmounted + " is not mounted";
  if (seen.other_volume)
    why +=
        ": another file system is there (its .hasup/volume says so). If the right one is gone for good, so is what "
        "it held: stop the unit, remove " +
        dir + "/.hasup/swap.json, move " + dir +
        "/.hasup/aside away, end the recovery with --rollback, and recover anew";
  return why;
}

std::string why_data_waits(const progress& p, const ports::worker_result& seen) {
  const auto& dir = p.plan.data_dir;
  if (auto why = why_not_mounted(dir, seen); !why.empty()) return why;
  if (!seen.ok() && !seen.writer) return dir + " cannot be inspected: " + seen.error;
  if (!seen.data_dir_exists) return dir + " is not there: is its volume mounted?";
  if (!seen.has_own_dir) return dir + " has no .hasup, which its recovery made there: is its volume mounted?";
  if (auto why = why_not_swapped(p, seen); !why.empty()) return why;
  if (!seen.writer) return {};
  return "process " + std::to_string(seen.writer->pid) + " (" + seen.writer->command + ") has " + seen.writer->path +
         " open; stop it";
}

std::string why_start_waits(const progress& p, const ports::worker_result& seen, std::uint64_t room) {
  if (auto why = why_data_waits(p, seen); !why.empty()) return why;
  if (seen.free_bytes >= room) return {};
  return "only " + base::format_byte_size(seen.free_bytes) + " free under " + seen.least_free_under(p.plan.data_dir) +
         ", and the start waits for " + base::format_byte_size(room) + " (data.min_free)";
}

void stepper::look() {
  s.now = looking{};
  run(ports::worker_mode::inspect);
}

void stepper::on_looked(const ports::worker_result& r) {
  const auto why = why_data_waits(s.done, r);
  if (s.done.undo_wanted && can_be_undone(r)) {
    if (record_is_gone(s.done, r))
      return end(outcome::refused, ".hasup/swap.json of " + s.done.plan.data_dir +
                                       " was removed, so that nothing is put back: what stands there stays as it is; "
                                       "`hasup recover " +
                                       unit_name() + "` restores it anew");
    const bool on_its_way = s.done.at == mark::rolling_back;  // then only what comes after it is another
    undo();
    if (!on_its_way) return;
  }
  if (why.empty()) {
    s.to_look = false;
    s.tries = 0;
    if (!std::exchange(s.waits_for, {}).empty())
      on_start_waited(std::chrono::duration_cast<base::duration>(now.mono - s.waits_since));
    return go_on_after_look();
  }
  if (s.waits_for.empty()) s.waits_since = now.mono;
  if (std::exchange(s.waits_for, why) != why) say("waiting", why + "; the recovery waits for it");
  s.now = pausing{step::look};
  const auto pause = base::duration{1000} * (1U << std::min(s.tries++, 10U));
  out.emplace_back(start_timer{std::min<base::duration>(pause, longest_pause)});
}

void stepper::go_on_after_look() {
  if (s.done.at == mark::confirmed) return clean_up(false);
  if (s.done.at == mark::loaded) return launch_again();
  go_on_quiesced();
}

}  // namespace hasup::recovery
