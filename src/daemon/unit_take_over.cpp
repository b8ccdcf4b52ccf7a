// What runs already, under its shim or since its shim died: taken over as it is, by a new hasupd or with a new shim.
#include "daemon/disk_thread.hpp"
#include "daemon/hook_run.hpp"
#include "daemon/unit_runner.hpp"

namespace hasup::daemon {

void unit_runner::adopt() {
  adopting_ = true;
  undecided_ = true;
  auto found = std::make_shared<base::result<launch>>(base::error{});
  services_.disk.run([found, unit = unit_, cgroups = services_.cgroup] { *found = prepare_launch(unit, cgroups); },
                     [weak = weak_from_this(), found] {
                       const auto self = weak.lock();
                       if (!self) return;
                       if (*found) self->launch_ = std::move(**found);  // else exec probes lack their environment
                       // Where the run began is not known any more: what comes from now on is evidence.
                       self->mark_node_logs([] {});
                       self->open_shim();
                     });
}

// With a shim that is only being asked to attach, or that could be lost once, the next event tells.
bool unit_runner::tells_what_runs(const process::shim_event& e) const {
  if (const auto* connected = std::get_if<process::shim_connected>(&e))
    return connected->status.phase != process::shim_phase::orphaned;
  if (std::holds_alternative<process::shim_lost>(e)) return !shim_answered_;
  if (std::holds_alternative<process::shim_busy>(e)) return false;  // stopped, say: what it keeps runs on
  return !std::holds_alternative<process::shim_logs_dropped>(e);
}

// A run that began under another daemon, with what that one was doing to it.
unit::adopted unit_runner::adoption(std::int32_t pid) {
  unit::adopted a;
  a.pid = pid;
  a.uncounted = std::exchange(uncounted_starts_, 0);
  a.restarts = std::exchange(uncounted_restarts_, 0);
  const auto& began = shim_->status().started_at;
  // An outsider's time begins with its adoption: nobody has asked its probes before.
  if (!std::exchange(outsider_, std::nullopt) && began && *began < wall_now())
    a.age = std::chrono::duration_cast<base::duration>(wall_now() - *began);
  a.interrupted = interrupted_;
  if (const auto* s = std::get_if<unit::stopping>(&memory_.now); s != nullptr && !a.interrupted) a.interrupted = *s;
  return a;
}

// It ran on while its journal came to harm, and is no worse for that: nothing is known against it, nor against those
// who read its data. False: its journal is whole.
bool unit_runner::tell_journal_damaged() {
  const auto trouble = journal_trouble();
  if (trouble.empty()) return false;
  publish("journal_damaged", trouble);
  host_.release_readers(unit_.id);
  return true;
}

// Without the node nobody knows whether its data is whole.
void unit_runner::hold_readers_if_damaged() {
  if (journal_is_damaged()) host_.stop_readers(unit_.id, [] {});
}

// The first word of a living shim to a new hasupd: what runs is taken as it is, what ended meanwhile is an exit like
// any. A run that hasupd died over before the intent file knew of it, whose last run is `known`, has surely not been
// told of.
void unit_runner::take_over(const process::shim_status& s, std::uint64_t known) {
  watched_from_start_ = false;
  const bool wanted = memory_.desired == model::desired::up;
  const bool unrecorded = s.run > known;
  const bool ended_unseen =
      s.phase == process::shim_phase::tree_empty && s.run == run_ && (unrecorded || running_fingerprint_ != 0);
  if (s.tree_alive || ended_unseen) {  // a start that came while the shim did not answer is void
    pending_run_.reset();
    forget_once();
    if (hook_) std::exchange(hook_, nullptr)->cancel();
  }
  if (s.tree_alive) {
    if (running_fingerprint_ == 0) runs_unrecorded();
    pid_ = s.pid;
    started_at_ = s.started_at;
    // The first start after a restore ran on; its recovery is resumed and watches it.
    if (parked_ && wanted && s.phase != process::shim_phase::exited && !tell_journal_damaged()) {
      if (go_on_beside(s.pid)) return restart_if_parent_lost();
      return dispatch(unit::start_wanted{false});
    }
    if (recovery_has_node() && s.phase != process::shim_phase::exited) {
      recovery_->on_node_started();
      return start_recovery_probes();
    }
    if (!recovery_has_node()) dispatch(adoption(s.pid));
    if (s.phase == process::shim_phase::exited)
      on(process::shim_main_exited{s.run, s.exit, s.exited_at.value_or(wall_now())});
    else
      restart_if_parent_lost();
    return;
  }
  if (ended_unseen && !parked_) {
    dispatch(adoption(s.pid));
    on(process::shim_main_exited{s.run, s.exit, s.exited_at.value_or(wall_now())});
    return on_shim(process::shim_tree_empty{s.run, s.logs_dropped});
  }
  hold_readers_if_damaged();
  // A start that was asked for and never reached its shim is tried again.
  if (std::exchange(running_fingerprint_, 0) != 0 && s.run < known && !memory_.starts.empty())
    memory_.starts.pop_back();
  if (pending_run_) return request_run();
  if (state() == model::unit_state::backoff) return;  // its timer runs
  if (wanted && state() == model::unit_state::stopped)
    dispatch(unit::start_wanted{false});
  else
    retire_shim();
}

// The shim of a run that was under way died, and the node did not live to be attached to: what nobody has told yet.
void unit_runner::catch_up(const process::shim_status& s, std::uint64_t asked_for) {
  using process::shim_phase;
  if (s.run < asked_for) return spawn_refused(EAGAIN, "its shim died before it started the program");
  if (s.phase == shim_phase::exec_failed) return spawn_refused(0, s.exec_error);
  if (s.phase == shim_phase::running && pid_ == 0)  // only the connection was lost, and with it this
    return on(process::shim_started{s.run, s.pid, s.start_time});
  if (s.phase != shim_phase::exited && s.phase != shim_phase::tree_empty) return;
  if (exit_told_of_ != s.run) on(process::shim_main_exited{s.run, s.exit, s.exited_at.value_or(wall_now())});
  if (s.phase == shim_phase::tree_empty) on_shim(process::shim_tree_empty{s.run, s.logs_dropped});
}

// What was never under a shim (start --adopt) has lost nothing. A recovery asks when it is over: it needs the run.
void unit_runner::restart_if_parent_lost() {
  const auto& s = shim_->status();
  if (!s.attached || s.from_outside) return;
  dispatch(unit::parent_lost{"its shim died, and nobody could tell how it ends: a restart in order"});
}

}  // namespace hasup::daemon
