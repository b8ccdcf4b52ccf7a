// The unit runner as the host of its recovery: workers, the node's first start, timers.
#include <csignal>

#include "daemon/disk_thread.hpp"
#include "daemon/hook_run.hpp"
#include "daemon/unit_runner.hpp"
#include "recovery/freeze.hpp"
#include "recovery/machine.hpp"
#include "recovery/progress.hpp"
#include "unit/first_state.hpp"

namespace hasup::daemon {

void unit_runner::make_recovery() {
  ++recovery_ticket_;
  find_device();
  recovery_no_kill_ = recovery_stops_ = false;
  stands_at_.reset();
  called_off_.clear();
  journal_anew_ = ends_without_journal_ = ends_counted_ = false;
  journal_retry_ = {};
  journal_timer_.cancel();
  group_refusal_ = {};
  first_start_.reset();
  start_look_ = 0;
  data_seen_free_ = false;
  milestones_.reset();
  recovery_ = std::make_unique<recovery_runner>(static_cast<recovery_host&>(*this),
                                                recovery_settings{recovery_memory_, [this] {
                                                                    recovery_memory_ = recovery_->memory();
                                                                    host_.changed(*this);
                                                                  }});
}

bool unit_runner::recovery_active() const {
  return recovery_ && recovery_->active();
}

std::optional<recovery::room_promised> unit_runner::promised_room() const {
  auto promised = recovery_active() ? recovery_->promised_room() : prefetch_takes();
  if (promised && promised->device == 0) promised->device = device_;
  return promised;
}

void unit_runner::on(const unit::begin_recovery& a) {
  if (std::exchange(beside_, false)) {  // the node has ended, for this or by itself
    recovery_->on_node_given();
    const auto question = std::exchange(question_, {});
    if (std::exchange(take_down_, false)) return quiesce(true);
    if (question.empty()) return;
    unit::recovery_ended asking{unit::recovery_ended::outcome::asking, question};
    return dispatch(std::move(asking));
  }
  make_recovery();
  journal_anew_ = true;
  auto options = std::exchange(recovery_options_, std::nullopt).value_or(recovery_options{});
  // What is missing was not explained by the last exit, however that was.
  options.explained =
      memory_.exit && memory_.exit->recovers && a.why.find(unit::never_from_nothing) == std::string::npos;
  recovery_->begin(a.why, std::move(options));
}

void unit_runner::on(const unit::resume_recovery&) {
  if (unit_.data.mounts.empty() || pid_ != 0) return resume_recovery_now();
  waits_for_mount_ = true;
  look_for_mount();
}

void unit_runner::resume_recovery_now() {
  auto options = std::exchange(recovery_options_, std::nullopt);
  const auto done = journaled();
  // A person asks anew. What the damaged journal began is undone first, from what stands in the data directory.
  if (options && !done) return begin_without_journal(std::move(*options));
  if (!journal_error_.empty()) return read_journal_again();
  make_recovery();
  parked_ = false;
  if (done) stands_at_ = done->plan.asked.newer_than;
  const bool node_running = pid_ != 0;
  recovery_->resume(journal_records_, node_running);
  if (std::exchange(roll_back_next_, false)) recovery_->roll_back();
  if (node_running && recovery_active()) start_recovery_probes();
}

void unit_runner::on(const unit::stop_recovery& a) {
  if (beside_) {  // what becomes of the node is not its business
    called_off_ = a.called_off;
    told_to_end_ = true;
    recovery_->stop(a.force);
    if (beside_ && std::exchange(take_down_, false)) recovery_->on_quiesced();
    return end_without_journal();
  }
  if (std::exchange(waits_for_mount_, false) || std::exchange(awaits_journal_, false)) {
    journal_timer_.cancel();
    unit::recovery_ended ended{unit::recovery_ended::outcome::stopped,
                               "stopped; `hasup start " + shown_name(unit_) + "` goes on with the recovery"};
    ended.as_before = false;
    return dispatch(std::move(ended));
  }
  recovery_no_kill_ = a.no_kill || (recovery_stops_ && recovery_no_kill_);  // asked for once, it holds
  if (!recovery_) return;
  recovery_->stop(a.force);
  // Nothing of the node runs yet, so there is nothing that a stop would have to wait for.
  recovery_stops_ = recovery_active();
  if (!recovery_stops_) return;
  end_without_journal();
  if (std::exchange(first_start_, std::nullopt)) return not_spawned();
  if (hook_ && hook_->name() == "pre_start")
    return end_pre_start(*hook_, [weak = weak_from_this()] {
      const auto self = weak.lock();
      if (!self) return;
      self->hook_.reset();
      self->not_spawned();
    });
  const auto all = earlier_hooks_;
  for (const auto& h : all)
    if (h->name() == "pre_start") end_earlier_hook(h);
}

// Its recovery is being stopped, so the node was not started.
void unit_runner::not_spawned() {
  start_refused({"stopped before it began", unit::exit_action::restart, {}, {}}, "stopped before it began");
}

void unit_runner::on(const unit::approve_recovery&) {
  if (recovery_) recovery_->approve();
}

void unit_runner::cancel_recovery() {
  if (!recovery_) return;
  const bool too_late = recovery_->touched();
  told_to_end_ = true;
  recovery_->cancel();
  if (!too_late) end_without_journal();
}

std::string unit_runner::why_no_roll_back() const {
  return waits_for_mount_ ? memory_.reason : std::string();
}

bool unit_runner::roll_back() {
  if (recovery_active()) {
    if (!recovery_->can_roll_back()) return false;
    recovery_->roll_back();
    return true;
  }
  const auto done = journaled();
  if (!parked_ || !done || !done->can_roll_back()) return false;
  roll_back_next_ = true;
  dispatch(unit::recover_wanted{"rolling back by hand", memory_.desired == model::desired::down});
  return true;
}

// As the unit's user, or as the daemon's: only that one sees the open files of every process.
void unit_runner::start_worker(ports::worker_job job, bool as_daemon,
                               std::function<void(const ports::worker_progress&)> progress,
                               std::function<void(ports::worker_result)> done, std::function<bool()> still_wanted) {
  process::account own;
  own.own = true;
  if (as_daemon || unit_.run.user.empty())
    return worker_.run(std::move(job), own, std::move(progress), std::move(done));
  // The name may have changed its number since the last start; asked on the disk thread.
  auto found = std::make_shared<base::result<launch>>(base::error{});
  services_.disk.run([found, unit = unit_] { *found = prepare_launch(unit, nullptr); },
                     [weak = weak_from_this(), found, job = std::move(job), progress = std::move(progress),
                      done = std::move(done), still_wanted = std::move(still_wanted)] {
                       const auto self = weak.lock();
                       if (!self || (still_wanted && !still_wanted())) return;
                       if (!*found) {
                         ports::worker_result r;
                         r.failure = ports::worker_failure::refused;
                         r.error = found->error().message;
                         return done(std::move(r));
                       }
                       self->launch_ = std::move(**found);
                       self->worker_.run(job, self->launch_->account, progress, done);
                     });
}

// For answers that come later: nobody, once it is over or another one runs.
std::function<std::shared_ptr<unit_runner>()> unit_runner::for_this_recovery() {
  return [weak = weak_from_this(), ticket = recovery_ticket_]() -> std::shared_ptr<unit_runner> {
    const auto self = weak.lock();
    return self && self->recovery_ && self->recovery_ticket_ == ticket ? self : nullptr;
  };
}

void unit_runner::run_worker(ports::worker_job job) {
  using ports::worker_mode;
  const auto is_current = for_this_recovery();
  const auto progress = [is_current](const ports::worker_progress& p) {
    if (const auto self = is_current()) self->recovery_->on_worker_progress(p);
  };
  const bool looks = job.mode == worker_mode::inspect;
  // Its readers run until it is touched, and again once the swap is over. What moves tolerates none.
  if (looks) job.tolerated = host_.reader_pids(unit_.id);
  const auto done = [is_current, looks](ports::worker_result r) {
    const auto self = is_current();
    if (!self) return;
    if (r.room) self->host_.add_promised(self->unit_.id, *r.room);
    if (looks) self->data_seen_free_ = r.ok();
    self->note_device(r);
    self->recovery_->on_worker_done(std::move(r));
  };
  const bool moves = job.mode == worker_mode::wipe || job.mode == worker_mode::swap ||
                     job.mode == worker_mode::rewipe || job.mode == worker_mode::roll_back ||
                     job.mode == worker_mode::clean_up;
  if (!moves || unit_.run.user.empty())
    return start_worker(std::move(job), job.mode == worker_mode::inspect, progress, done);
  // The worker that moves looks for writers too, but its user cannot see the processes of others.
  auto look = job;
  look.mode = worker_mode::inspect;
  look.must_exist.clear();
  if (job.mode == worker_mode::clean_up) {  // only the old state: the node runs on the new one
    look.also.clear();
    for (const auto& mount : look.mounts)
      if (mount.starts_with(look.data_dir + "/")) look.also.push_back(mount + "/.hasup/aside");
    look.data_dir += "/.hasup/aside";
    look.locks.clear();
    look.mounts.clear();
  }
  start_worker(std::move(look), true, progress, [is_current, job, progress, done](ports::worker_result r) {
    const auto self = is_current();
    if (!self) return;
    // Nothing was moved yet: there is nothing to roll back, and nothing that a writer could be in the way of.
    const bool nothing_to_undo = job.mode == worker_mode::roll_back && !r.half_swapped;
    if (!r.ok() && !nothing_to_undo) return done(std::move(r));
    self->start_worker(job, false, progress, done);
  });
}

void unit_runner::take_up_worker(ports::candidate of) {
  const auto current = for_this_recovery();
  const auto is_its = [of = std::move(of)](const ports::worker_job& job) {
    const bool prepares = job.mode == ports::worker_mode::fetch || job.mode == ports::worker_mode::unpack;
    return prepares && !job.prefetch && job.chosen == of;
  };
  worker_.take_up(
      is_its,
      [current](const ports::worker_progress& p) {
        if (const auto self = current()) self->recovery_->on_worker_progress(p);
      },
      [current](std::optional<ports::worker_mode> what, const ports::worker_result& r) {
        const auto self = current();
        if (!self) return;
        self->note_device(r);
        self->recovery_->on_taken_up(what, r);
      });
}

void unit_runner::cancel_worker() {
  worker_.cancel();
}

void unit_runner::quiesce(bool readers) {
  if (beside_) return take_down();
  // After a crash of hasupd an old node may still run here.
  if (shim_ && shim_->connected() && shim_->status().tree_alive) {
    quiescing_ = true;
    quiesces_readers_ = readers;
    signal_stop();
    return await_node_end(unit_.run.stop_timeout, true);
  }
  when_alone([this, readers] {
    if (!recovery_active()) return;
    if (!readers) return recovery_->on_quiesced();
    host_.stop_readers(unit_.id, [weak = weak_from_this()] {
      if (const auto self = weak.lock(); self && self->recovery_active()) self->recovery_->on_quiesced();
    });
  });
}

// What still runs of the node during a recovery: SIGTERM to all of it (unless it had one), then SIGKILL, never
// quietly.
void unit_runner::await_node_end(base::duration patience, bool asked) {
  recovery_node_ending_ = true;
  node_timer_.expires_after(patience);
  // An expiry may be on its way when the runner goes.
  node_timer_.async_wait([weak = weak_from_this(), asked](const boost::system::error_code& ec) {
    const auto self = weak.lock();
    if (!ec && self && self->shim_ && self->node_timer_.expiry() <= self->now()) self->node_end_overdue(asked);
  });
}

void unit_runner::node_end_overdue(bool asked) {
  const auto limit = base::format_duration(unit_.run.stop_timeout);
  if (!asked) {
    publish("strays_found", "processes are left after the main process ended; asking them to end");
    shim_->signal(SIGTERM, true);
    return await_node_end(unit_.run.stop_timeout, true);
  }
  if (asked_by_command_ && pid_ != 0) return stop_command_failed("no end within " + limit + " of stop_command");
  if (recovery_no_kill_) {
    publish("still_stopping", "does not end within " + limit + "; not killed, as asked");
    return await_node_end(unit_.run.stop_timeout, true);
  }
  memory_.killed = true;
  publish("killed", "SIGKILL after " + limit + " without an end");
  shim_->signal(SIGKILL, true);
}

void unit_runner::release_readers() {
  host_.release_readers(unit_.id);
}

void unit_runner::start_node(std::vector<std::string> append, std::vector<std::string> instead) {
  node_exit_.reset();
  import_command_ = std::move(instead);
  recovery_node_ending_ = false;
  if (shim_ && shim_->connected() && shim_->status().tree_alive && pid_ != 0) {  // it ran on without hasupd
    recovery_->on_node_started();
    return start_recovery_probes();
  }
  if (recovery_stops_) return not_spawned();
  first_start_ = std::move(append);
  first_start_asked_at_ = now();
  start_look_ = 0;
  first_start_waits_for_.clear();
  look_at_requirements();
}

void unit_runner::first_start(const std::vector<std::string>& append) {
  take_endpoints();
  auto found = std::make_shared<base::result<launch>>(base::error{});
  services_.disk.run([found, unit = unit_, cgroups = services_.cgroup] { *found = prepare_launch(unit, cgroups); },
                     [weak = weak_from_this(), found, append] {
                       const auto self = weak.lock();
                       if (!self || !self->recovery_) return;
                       if (!*found) return self->spawn_refused(0, found->error().message);
                       self->launch_ = std::move(**found);
                       self->when_alone([weak, append] {
                         const auto s = weak.lock();
                         if (s && s->recovery_active()) s->recovery_stops_ ? s->not_spawned() : s->spawn_with(append);
                       });
                     });
}

void unit_runner::stop_node() {
  if (std::exchange(first_start_, std::nullopt)) return not_spawned();
  if (pid_ == 0) return;
  signal_stop();
  await_node_end(unit_.run.stop_timeout, true);
}

void unit_runner::report(std::string kind, std::string reason) {
  memory_.reason = reason;
  publish(kind, reason);
  host_.changed(*this);
}

// Status asks by itself; the events and hasupd's log are told now and then.
void unit_runner::show_progress() {
  if (!recovery_active()) return;
  const auto r = recovery_progress();
  const auto done = r.bytes_total ? r.bytes_done : r.files_done;
  if (!milestones_.is_one(r.phase, r.snapshot, done, r.bytes_total ? r.bytes_total : r.files_total, now())) return;
  control::event e;
  e.kind = "recovery_progress";
  const auto far = control::progress_text(r, wall_now());
  e.reason = r.phase + (far.empty() ? "" : "  " + far) + (r.snapshot.empty() ? "" : "  " + r.snapshot);
  e.recovery = control::encode(r);
  publish(std::move(e));
}

void unit_runner::discard_archives(std::vector<std::string> names, std::vector<std::string> sha256) {
  ports::worker_job job;
  job.mode = ports::worker_mode::discard;
  job.data_dir = unit_.data.dir;
  job.useless = std::move(names);
  job.useless_sha256 = std::move(sha256);
  start_worker(std::move(job), false, {}, [](const ports::worker_result&) {});  // what stays goes with the next
}

void unit_runner::tell_outcome(recovery_outcome outcome, const std::string& reason) {
  publish("recovery_ended", reason, {{"outcome", std::string(recovery_outcome_names.text(outcome))}});
}

void unit_runner::finished(recovery_outcome outcome, std::string reason) {
  using unit::recovery_ended;
  if (beside_) {
    recovery_memory_ = recovery_->memory();
    recovery_timer_.cancel();
    return ended_beside(outcome, reason);
  }
  const auto is = [&] {
    switch (outcome) {
      case recovery_outcome::recovered:
        return recovery_ended::outcome::recovered;
      case recovery_outcome::rolled_back:
      case recovery_outcome::refused:
      case recovery_outcome::unavailable:
        return recovery_ended::outcome::failed;
      case recovery_outcome::cancelled:
        return recovery_ended::outcome::stopped;
      case recovery_outcome::parked:
        return recovery_ended::outcome::stopped;
      case recovery_outcome::asking:
        return recovery_ended::outcome::asking;
      case recovery_outcome::stuck:
      case recovery_outcome::emptied:
        return recovery_ended::outcome::failed;
    }
    return recovery_ended::outcome::failed;
  }();
  recovery_memory_ = recovery_->memory();
  recovery_timer_.cancel();
  if (outcome != recovery_outcome::asking) tell_outcome(outcome, reason);
  // Queued at once: an exit of the node that comes next is for the unit machine, after this.
  recovery_ended ended{is, std::move(reason)};
  ended.node_alive = pid_ != 0 || running_fingerprint_ != 0;
  ended.returns = stands_at_.has_value();
  ended.serves = recovery_node_started_;
  ended.counted = std::exchange(ends_counted_, false);
  emptied_ = outcome == recovery_outcome::emptied;
  ended.try_later = outcome == recovery_outcome::unavailable || emptied_;
  ended.as_before = outcome != recovery_outcome::parked && outcome != recovery_outcome::stuck && !emptied_;
  dispatch(std::move(ended));
  if (outcome == recovery_outcome::recovered && pid_ != 0) restart_if_parent_lost();
  if (outcome == recovery_outcome::recovered && pid_ == 0) tell_late_exit();
  if (outcome == recovery_outcome::asking) return;
  // The data may be half swapped: its readers stay down, and the next start goes on from the journal. One that was
  // complete when it was stopped has left none.
  parked_ = has_journal();
  if (parked_) return;
  apply_pending_spec();
  if (!emptied_) host_.release_readers(unit_.id);  // there is nothing that they could read
}

// The node ended when nothing of the recovery could come of it any more: that is the unit's business.
void unit_runner::tell_late_exit() {
  const auto ended = std::exchange(node_exit_, std::nullopt);
  if (!ended) return;
  node_timer_.cancel();
  dispatch(unit::main_exited{ended->status, ended->class_of, true});
  if (running_fingerprint_ == 0) dispatch(unit::tree_emptied{});
}

base::mono_time unit_runner::now() const {
  return std::chrono::steady_clock::now();
}
base::wall_time unit_runner::wall_now() const {
  return std::chrono::system_clock::now();
}

void unit_runner::start_timer(base::duration after) {
  recovery_timer_.expires_after(after);
  recovery_timer_.async_wait([weak = weak_from_this()](const boost::system::error_code& ec) {
    const auto self = weak.lock();
    if (!ec && self && self->recovery_) self->recovery_->on_timer();
  });
}

void unit_runner::cancel_timer() {
  recovery_timer_.cancel();
}

}  // namespace hasup::daemon
