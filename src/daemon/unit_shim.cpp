// The process of an instance, by way of its shim: started, stopped, missed.
#include <fmt/format.h>

#include <cerrno>
#include <csignal>

#include "daemon/disk_thread.hpp"
#include "daemon/hook_run.hpp"
#include "daemon/unit_runner.hpp"
#include "journal/atomic_file.hpp"

namespace hasup::daemon {
namespace {

constexpr std::chrono::seconds stray_grace{2};  // for what a dead main process leaves behind

}  // namespace

void unit_runner::open_shim() {
  if (!shim_) {
    shim_ = std::make_unique<process::shim_client>(services_.loop, services_.shim, to_text(unit_.id),
                                                   [weak = weak_from_this()](const process::shim_event& e) {
                                                     if (const auto self = weak.lock()) self->on_shim(e);
                                                   });
  }
  shim_->open();
}

void unit_runner::on_shim(const process::shim_event& e) {
  if (explaining_exit_) return held_events_.push_back(e);
  if (const auto* refused = std::get_if<process::shim_not_adjusted>(&e)) return on(*refused);
  const bool known_now = undecided_ && tells_what_runs(e);
  if (known_now) undecided_ = false;
  std::visit([this](const auto& what) { on(what); }, e);
  if (!known_now) return;
  for (auto& waiting : std::exchange(until_decided_, {})) dispatch(std::move(waiting));
  drain();  // before anybody is told: until then it would seem to be stopped, and its dependents to have lost it
  host_.changed(*this);
}

void unit_runner::on(const unit::spawn&) {
  import_command_.clear();
  stopped_for_space_ = false;
  space_.clear();
  spawn_with(once_);
}

void unit_runner::open_for_run(std::vector<std::string> append) {
  pending_run_ = std::move(append);
  if (retiring_) return;  // the old shim is just ending; shim_lost opens a new one
  if (shim_ && shim_->connected())
    request_run();
  else
    open_shim();
}

// What was waited for may be for a run that a stop has overtaken: the one asked for since has to wait for a new shim.
bool unit_runner::may_request_run() const {
  return pending_run_ && !retiring_ && shim_ && shim_->connected();
}

void unit_runner::request_run() {
  if (!unit_.log.follow.empty() && !std::exchange(node_logs_marked_, false)) {
    return mark_node_logs([weak = weak_from_this()] {
      const auto self = weak.lock();
      if (!self) return;
      self->node_logs_marked_ = true;
      if (self->may_request_run()) self->request_run();
    });
  }
  // With the next run its shim forgets how the one before ended.
  host_.when_told(recovery_has_node() ? host_.newest_event() : tells_of_end_, [weak = weak_from_this()] {
    const auto self = weak.lock();
    if (self && self->may_request_run()) self->send_run();
  });
}

void unit_runner::send_run() {
  auto append = std::move(*pending_run_);
  pending_run_.reset();
  run_ = std::max(run_, shim_->status().run) + 1;
  auto request = import_command_.empty() ? make_run_request(unit_, *launch_, append, run_, services_.dirs.log)
                                         : make_run_request(as_import(), *launch_, append, run_, services_.dirs.log);
  if (!request) return spawn_refused(0, request.error().message);
  if (!shim_->heeds(*request)) return replace_shim(std::move(append));
  runs_as_configured();
  ever_started_ = true;
  head_.reset();
  host_.changed(*this);  // the run number and the spec's fingerprint go into the intent file
  save_spec();
  watched_from_start_ = true;
  shim_->run(*request);
}

// An import is a run like the node's, of another command.
model::unit unit_runner::as_import() const {
  auto unit = unit_;
  unit.run.command = import_command_;
  return unit;
}

// Between two runs nothing depends on a shim: one of an older version makes way.
void unit_runner::replace_shim(std::vector<std::string> append) {
  if (std::exchange(shim_replaced_, true)) {
    return spawn_refused(0, services_.shim.shim_program +
                                " is older than hasupd and would leave out a part of [run]; install both from one "
                                "package");
  }
  publish("shim_replaced", "its shim is of an older version and would leave out a part of [run]; starting a new one");
  pending_run_ = std::move(append);
  retiring_ = true;
  shim_->exit_shim();
}

std::string unit_runner::program() const {
  const auto& command = import_command_.empty() ? unit_.run.command : import_command_;
  return command.empty() ? "" : command.front();
}

// An exec that cannot work: a class of its own, so that it is never taken for broken data.
void unit_runner::spawn_refused(int error, const std::string& why) {
  auto found = unit::classify_exec_error(error, program());
  if (error == 0 && recovery_has_node()) found.evidence = why;  // a recovery tells nothing else of it
  start_refused(std::move(found), why);
}

void unit_runner::start_refused(unit::classification classified, const std::string& why) {
  if (stop_hook_)  // stopped while it was on its way
    return end_first(stop_hook_, [this, classified = std::move(classified), why] { start_refused(classified, why); });
  running_fingerprint_ = 0;
  pid_ = 0;
  if (recovery_has_node()) {
    node_exit_ = {{}, classified, {}, true};
    return recovery_->on_node_exited({}, classified);
  }
  dispatch(unit::spawn_failed{std::move(classified), why});
}

void unit_runner::on(const process::shim_connected& e) {
  const auto& s = e.status;
  shim_answered_ = true;
  shim_silence_.clear();
  // Without an intent file nobody knows how many of its runs were starts that count.
  if (adopting_ && s.run > run_) uncounted_starts_ = run_ == 0 ? 1 : static_cast<unsigned>(s.run - run_);
  const bool first_was_counted = std::exchange(start_was_counted_, false) || run_ == 0;
  uncounted_restarts_ = uncounted_starts_ - (first_was_counted && uncounted_starts_ > 0 ? 1 : 0);
  if (s.phase == process::shim_phase::orphaned) {
    // It runs already, and its end must be told; what waits to be started would be a second copy of it.
    pending_run_.reset();
    if (running_fingerprint_ == 0) runs_unrecorded();
    return shim_->attach(s.pid, s.start_time, s.run, data_dirs_of(unit_));
  }
  if (outsider_) return attach_outsider();
  const bool another_runs = s.tree_alive && s.run < run_ && !adopting_;  // than the one that was asked for
  const auto asked_for = std::exchange(run_, another_runs ? s.run : std::max(run_, s.run));
  if (s.run > asked_for) interrupted_.reset();  // a stop of an older run
  // Whatever brought us here: what runs is taken over, and nothing is asked to run beside it.
  const bool unexpected = another_runs || (pending_run_ && s.tree_alive);
  if (s.tree_alive) adjust_what_began_before();
  if (std::exchange(adopting_, false) || unexpected) return take_over(s, asked_for);
  if (pending_run_) return request_run();
  if (running_fingerprint_ != 0) return catch_up(s, asked_for);
  if (is_down() && !hook_) retire_shim();  // stopped while its shim was coming up
}

void unit_runner::on(const process::shim_started& e) {
  pid_ = e.pid;
  forget_once();
  shim_replaced_ = false;
  run_ = std::max(run_, shim_->status().run);
  started_at_ = shim_->status().started_at.value_or(wall_now());  // after an attachment: long ago
  if (launch_) report_limits(shim_->status().in_cgroup);
  if (recovery_has_node()) {
    recovery_node_started_ = false;
    recovery_->on_node_started();
    if (recovery_has_node()) start_recovery_probes();  // else it was confirmed in an earlier run
    return;
  }
  if (outsider_) return dispatch(adoption(e.pid));
  if (std::exchange(adopting_, false)) {  // by a new shim: the old one died while there was no hasupd
    if (parked_ && memory_.desired == model::desired::up && !tell_journal_damaged()) {
      if (go_on_beside(e.pid)) return restart_if_parent_lost();
      return dispatch(unit::start_wanted{false});
    }
    dispatch(adoption(e.pid));
  } else {
    dispatch(unit::spawned{e.pid});
  }
  restart_if_parent_lost();
}

void unit_runner::on(const process::shim_exec_failed& e) {
  if (outsider_) return outsider_refused(e.message);
  spawn_refused(e.code, (program().empty() ? "" : program() + ": ") + e.message);
}

unit::classification unit_runner::diagnose(const std::string& evidence, const model::exit_status& status) {
  unit::run_facts facts;
  facts.startup_passed = memory_.startup_passed;
  facts.asked_to_stop = (state() == model::unit_state::stopping && !drains()) || interrupted_.has_value();
  if (const auto* s = std::get_if<unit::stopping>(&memory_.now)) facts.killed_by_hasup = s->killed;
  facts.oom_kills = shim_->status().oom_kills;
  facts.machine_oom_kills = shim_->status().machine_oom_kills;
  facts.kill_sent = shim_->status().kill_sent;
  facts.memory_max = unit_.run.limit.memory_max.value_or(0);
  facts.disk_full = full_at_exit_;
  facts.lived = shim_->status().lived;
  facts.startup = said_at_exit_.startup;
  facts.readiness = said_at_exit_.readiness;
  return unit::classify(recipe_ ? &*recipe_ : nullptr, status, evidence, facts);
}

void unit_runner::main_exited(const process::shim_main_exited& e, const std::string& node_files) {
  hold_readers_if_damaged();
  // It ended before the new shim of an adoption could attach to it.
  if (outsider_) {
    dispatch(adoption(shim_->status().pid));
  } else if (adopting_ && !parked_) {
    adopting_ = false;
    dispatch(adoption(shim_->status().pid));
  }
  const auto evidence = evidence_of(e, node_files);
  auto found = diagnose(evidence, e.exit);
  ended_with_ = e.exit;
  exit_told_of_ = e.run;
  pid_ = 0;
  started_at_.reset();
  if (recovery_has_node()) {
    for (auto& p : probes_) p.reset();
    // However it took being stopped: nothing of that is the snapshot's fault.
    if (stopped_for_space_) found = {"stopped for data.min_free", unit::exit_action::restart, {}, {}};
    publish("exited", exit_text(e.exit, found));
    if (found.action == unit::exit_action::next_endpoint && import_command_.empty() && !recovery_node_ending_) {
      on(unit::leave_endpoint{found.upstream, exit_text(e.exit, found) + quoted_line(found)});
      host_.changed(*this);
    }
    node_exit_ = {e.exit, std::move(found), evidence};
    // What the main process leaves behind must be gone before anything is moved.
    return await_node_end(stray_grace, false);
  }
  dispatch(unit::main_exited{e.exit, std::move(found)});
}

void unit_runner::on(const process::shim_tree_empty&) {
  if (!queue_.empty()) untold_fingerprint_ = running_fingerprint_;
  running_fingerprint_ = 0;
  if (std::exchange(adopting_, false)) {  // with a recovery parked, its end has no story of its own
    hold_readers_if_damaged();
    if (state() == model::unit_state::backoff) return;  // its timer runs
    if (memory_.desired == model::desired::up) return dispatch(unit::start_wanted{false});
    return retire_shim();
  }
  node_timer_.cancel();
  after_tree_empty([this] {
    if (quiescing_) {
      quiescing_ = false;
      return quiesce(quiesces_readers_);
    }
    if (recovery_has_node()) {
      if (!node_exit_ || std::exchange(node_exit_->told, true)) return;
      const auto ended = *node_exit_;
      return recovery_->on_node_exited(ended.status, ended.class_of, ended.evidence);
    }
    dispatch(unit::tree_emptied{});
  });
}

void unit_runner::on(const process::shim_logs_dropped& e) {
  if (drops_reported_at_ != base::mono_time{} && now() - drops_reported_at_ < std::chrono::minutes(10)) return;
  drops_reported_at_ = now();
  publish(
      "logs_dropped",
      fmt::format("{} lines of its log are missing: {} is full, cannot be written or is too slow; the node was not "
                  "held up",
                  e.lines, services_.dirs.log),
      {{"lines", std::to_string(e.lines)}});
}

void unit_runner::on(const process::shim_lost& e) {
  if (outsider_ && pid_ == 0) return outsider_refused("the shim could not be started: " + e.message);
  const bool was_alive = pid_ != 0 || (running_fingerprint_ != 0 && !pending_run_);
  if (std::exchange(retiring_, false)) {
    if (pending_run_ || outsider_)
      open_shim();
    else
      host_.changed(*this);  // a unit whose file is gone waits for this
    return;
  }
  if (pending_run_ && !was_alive) {
    pending_run_.reset();
    return spawn_refused(EAGAIN, "the shim could not be started: " + e.message);
  }
  // Until the tree of a run is known to be empty, it needs a shim: the new one finds the record of the old one and
  // attaches to the node, which runs on, or finds what the node left behind.
  if (!adopting_ && !was_alive) return;
  publish("shim_lost", "the shim died: " + e.message + "; starting a new one");
  adopting_ = adopting_ || !was_alive;
  if (std::exchange(shim_answered_, false)) return open_shim();
  open_shim_later();
}

void unit_runner::open_shim_later() {
  shim_timer_.expires_after(std::chrono::seconds(1));
  shim_timer_.async_wait([weak = weak_from_this()](const boost::system::error_code& ec) {
    if (ec) return;
    if (const auto self = weak.lock()) self->open_shim();
  });
}

void unit_runner::on(const process::shim_busy& e) {
  const auto why = e.message;
  if (outsider_) return outsider_refused(why);
  if (pending_run_) {
    pending_run_.reset();
    return spawn_refused(EAGAIN, why);
  }
  if (std::exchange(shim_silence_, why).empty()) publish("shim_busy", why);
  open_shim_later();  // its process is there, and may be only stopped or waiting for a disk
}

// So that a unit whose file is broken or gone after a crash can still be probed and stopped as it was started.
void unit_runner::save_spec() {
  if (effective_toml_ == saved_toml_) return;
  saved_toml_ = effective_toml_;
  services_.disk.run([path = services_.dirs.state + "/specs/" + unit_.id.unit + ".toml", text = effective_toml_] {
    if (const auto written = journal::write_atomic(path, text); !written) return;  // the next start tries again
  });
}

void unit_runner::on(const unit::send_stop&) {
  // Before a run nothing was started yet; after one its end is on its way already.
  if (hook_ && hook_->name() == "pre_start")
    return end_pre_start(*hook_, [weak = weak_from_this()] {
      const auto self = weak.lock();
      if (!self) return;
      self->hook_.reset();
      self->dispatch(unit::tree_emptied{});
    });
  if (hook_) return;
  if (pending_run_) {  // its shim is only coming up: nothing was started yet
    pending_run_.reset();
    return dispatch(unit::tree_emptied{});
  }
  if (outsider_ && running_fingerprint_ == 0) {  // not ours yet: it is left to whoever started it
    outsider_.reset();
    return dispatch(unit::tree_emptied{});
  }
  signal_stop();
}

void unit_runner::on(const unit::send_signal&) {
  send_stop_signal();
}

void unit_runner::on(const unit::term_tree&) {
  if (shim_) shim_->signal(SIGTERM, true);
}

void unit_runner::on(const unit::kill_tree&) {
  if (shim_) shim_->signal(SIGKILL, true);
}

// The unit is down for good: its shim has nothing more to keep. shim_lost tells when it is gone.
void unit_runner::retire_shim() {
  if (!shim_ || !shim_->connected() || shim_->status().tree_alive) return;
  retiring_ = true;
  shim_->exit_shim();
  drop_leaf();
}

std::vector<std::int32_t> unit_runner::pids() const {
  std::vector<std::int32_t> out;
  if (pid_ == 0 || !shim_) return out;
  const auto& s = shim_->status();
  for (const auto& p : process::unit_processes({s.shim_pid, pid_, s.start_time, s.attached})) out.push_back(p.pid);
  return out;
}

}  // namespace hasup::daemon
