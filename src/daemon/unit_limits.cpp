// Limits on memory, processor and processes: set, watched, and reported when they cannot be had.
#include "daemon/unit_limits.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "daemon/disk_thread.hpp"
#include "daemon/unit_runner.hpp"

namespace hasup::daemon {

namespace {

process::cgroup_limits wanted_by(const model::unit& unit) {
  const auto& limit = unit.run.limit;
  return {limit.memory_max, limit.cpu_weight, limit.pids};
}

}  // namespace

base::result<launch> prepare_launch(const model::unit& unit, const process::cgroup_tree* cgroups) {
  auto out = start::prepare_launch(unit);
  if (out) prepare_limits(*out, unit, cgroups);
  return out;
}

std::optional<launch> launch_again(const launch& last, const model::unit& unit, const process::cgroup_tree* cgroups) {
  if (!last.account.own || !unit.run.user.empty() || !unit.run.groups.empty() || !unit.run.env_files.empty() ||
      cgroups != nullptr)
    return std::nullopt;
  auto out = start::launch_as(last.account);
  prepare_limits(out, unit, nullptr);
  return out;
}

void prepare_limits(launch& out, const model::unit& unit, const process::cgroup_tree* tree) {
  const auto wanted = wanted_by(unit);
  if (tree == nullptr) {
    if (wanted.any())
      out.limits_missing.emplace_back(
          "[run.limits] memory_max, cpu_weight and pids need a delegated cgroup v2 directory; see man hasupd, "
          "CGROUPS");
    return;
  }
  auto leaf = tree->prepare_leaf(to_text(unit.id), wanted, out.limits_missing);
  if (leaf)
    out.cgroup = std::move(*leaf);
  else if (wanted.any())
    out.limits_missing.push_back("[run.limits] are not in force: " + leaf.error().message);
}

// Once for each set of reasons, not at each restart.
void unit_runner::report_limits(bool in_cgroup) {
  std::string why;
  for (const auto& missing : launch_->limits_missing) why += (why.empty() ? "" : "; ") + missing;
  if (why.empty() && wanted_by(unit_).any() && !in_cgroup)
    why = "the node could not be put into its cgroup " + launch_->cgroup;
  if (why != limits_told_ && !why.empty()) publish("limits_not_applied", why);
  limits_told_ = std::move(why);
}

// The spec changed: limits are policies and hold at once.
void unit_runner::renew_limits() {
  if (services_.cgroup == nullptr || pid_ == 0 || !shim_ || !shim_->status().in_cgroup) return;
  auto missing = std::make_shared<std::vector<std::string>>();
  services_.disk.run([missing, unit = unit_,
                      tree = services_.cgroup] { tree->set_limits(to_text(unit.id), wanted_by(unit), *missing); },
                     [weak = weak_from_this(), missing] {
                       const auto self = weak.lock();
                       if (!self || !self->launch_) return;
                       self->launch_->limits_missing = std::move(*missing);
                       self->report_limits(true);
                     });
}

// The same for what its shim sets. A run that began with another file is restarted instead.
void unit_runner::adjust_run(const model::unit& was) {
  const bool goes_on = running_fingerprint_ == unit_.fingerprint && running_settings_ != unit_.settings;
  if (!goes_on || !shim_ || !shim_->connected() || !shim_->status().tree_alive) return;
  shim_->adjust(running_settings_ == was.settings ? start::adjustment_to(was, unit_) : start::adjustment_to(unit_));
  running_settings_ = unit_.settings;
  host_.changed(*this);
}

// While there was no hasupd, or no shim, the file may have changed. An intent file of before this says nothing.
void unit_runner::adjust_what_began_before() {
  static const model::unit unset;
  if (running_settings_ != 0) adjust_run(unset);
}

void unit_runner::on(const process::shim_not_adjusted& e) {
  publish("limits_not_applied",
          "what changed in [run.limits] and [log] could not all be given to the running node: " + e.message +
              "; its next start will have it");
}

void unit_runner::drop_leaf() {
  if (services_.cgroup == nullptr) return;
  services_.disk.run([name = to_text(unit_.id), tree = services_.cgroup] { tree->remove_leaf(name); });
}

bool unit_runner::watches_memory() const {
  return unit_.run.limit.memory_restart && state() == model::unit_state::running && pid_ != 0;
}

void unit_runner::sample_memory() {
  if (!watches_memory() || !shim_) return;
  const auto& s = shim_->status();
  if (std::exchange(memory_run_, s.run) != s.run || maintenance_) memory_guard_.reset();
  if (maintenance_) return;
  std::optional<std::uint64_t> used;
  if (s.in_cgroup && services_.cgroup != nullptr)
    used = process::leaf_memory(services_.cgroup->leaf(to_text(unit_.id)));
  if (!used) used = process::usage_of(process::unit_processes({s.shim_pid, pid_, s.start_time, s.attached})).memory;
  if (auto why = memory_guard_.observe(*used, *unit_.run.limit.memory_restart, now()))
    dispatch(unit::memory_exceeded{std::move(*why)});
}

// Also while a recovery runs the node: where the old state stands aside whole, only to tell.
bool unit_runner::watches_space() const {
  return unit_.data.min_free > 0 && pid_ != 0;
}

void unit_runner::on_space(const std::string& dir, const base::result<unit::room_left>& room) {
  if (!watches_space()) return;
  if (!room)
    return publish("disk_silent",
                   "how much is free is not known, so data.min_free does not hold there: " + room.error().message);
  const auto dirs = unit::watched_dirs(unit_.data);
  std::erase_if(space_, [&](const auto& s) { return std::find(dirs.begin(), dirs.end(), s.first) == dirs.end(); });
  const bool main = dir == unit_.data.dir;
  if (!main && room->device == device_) return;  // told of once
  for (const auto& [other, s] : space_)
    if (!main && other != dir && s.device == room->device) return;
  auto& seen = space_[dir];
  seen.device = room->device;
  auto verdict = seen.guard.observe(room->free, unit_.data.min_free, dir);
  if (verdict.warn) publish("disk_low", *verdict.warn);
  // What is only kept in case, which is in data.dir, goes first; the next look is soon.
  const auto& low = verdict.stop ? verdict.stop : verdict.warn;
  if (low && main && drop_prefetched(*low)) return;
  if (!verdict.stop) {
    seen.told = false;
    return;
  }
  if (!maintenance_ && (state() == model::unit_state::running || state() == model::unit_state::starting)) {
    stopped_for_space_ = true;
    return dispatch(unit::space_low{std::move(*verdict.stop)});
  }
  // Its next start waits for room, and nothing is held against the snapshot.
  if (!maintenance_ && recovery_has_node() && !recovery_node_ending_ && recovery_->runs_on_only_copy()) {
    stopped_for_space_ = true;
    publish("disk_low", *verdict.stop);
    return stop_node();
  }
  if (std::exchange(seen.told, true)) return;
  publish("disk_low", fmt::format("less than data.min_free under {}; not stopped now, it is {}", dir,
                                  maintenance_ ? "in maintenance" : model::unit_state_names.text(state())));
}

}  // namespace hasup::daemon
