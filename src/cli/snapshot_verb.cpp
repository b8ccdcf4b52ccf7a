// hasup snapshot: snapshots by hand, with the means of a recovery and without a daemon.
#include "cli/snapshot_verb.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>

#include "cli/verbs.hpp"

namespace hasup::cli {

found_snapshots look_for_snapshots(const context& c, const snapshot_target& target) {
  found_snapshots out;
  auto job = target.job;
  job.mode = ports::worker_mode::select;
  job.data_dir = target.data_dir;
  job.explain = true;
  job.look_for_warm = target.is_unit;
  out.answer = call_worker(c, job, target.home);
  snapshot_policy policy;
  policy.plans = job.plans;
  policy.checksum = job.checksum;
  policy.needs_signature = !job.public_key.empty();
  policy.bad = target.bad;
  if (target.is_unit) policy.reset = "hasup reset " + target.name;
  out.rows = snapshot_rows(out.answer.result, policy);
  for (auto& line : newer_passed_over(out.rows)) out.answer.result.notes.push_back(std::move(line));
  if (!target.bad_unknown.empty())
    out.answer.result.notes.push_back("which snapshots are remembered as bad is not known: " + target.bad_unknown);
  return out;
}

exit_code list_snapshots(const context& c) {
  auto target = find_snapshot_target(c, c.call.targets[0]);
  if (const auto* wrong = std::get_if<target_error>(&target)) {
    complain(c, wrong->message);
    return wrong->code;
  }
  const auto& where = std::get<snapshot_target>(target);
  const auto found = look_for_snapshots(c, where);
  const auto& result = found.answer.result;
  if (found.answer.interrupted) {
    complain(c, "interrupted");
    return exit_code::failed;
  }
  if (!result.ok()) {
    complain(c, printable(result.error));
    return exit_code::failed;
  }
  const auto now = std::chrono::system_clock::now();
  if (c.call.json)
    print(snapshots_json(found.rows, where.name, where.is_unit, result.notes, now));
  else
    print(render_snapshots(found.rows, now, c.call.all, c.out));
  const bool any = std::any_of(found.rows.begin(), found.rows.end(), [](const auto& r) { return r.taken; });
  if (!c.call.json)
    for (const auto& note : result.notes) complain(c, printable(note));
  if (any) return exit_code::done;
  if (!c.call.json) complain(c, "nothing here that a recovery would take");
  return exit_code::failed;
}

exit_code run_snapshot(const context& c) {
  if (c.call.word == "list") return list_snapshots(c);
  if (c.call.word == "verify") return verify_snapshots(c);
  if (c.call.word == "create") return create_snapshots(c);
  return get_snapshot(c);
}

}  // namespace hasup::cli
