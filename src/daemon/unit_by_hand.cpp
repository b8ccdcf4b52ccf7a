// A recovery that is prepared beside the node that runs, its question, what it would do, and when it is too late to
// cancel it.
#include <fmt/format.h>

#include "daemon/unit_runner.hpp"
#include "recovery/candidates.hpp"
#include "recovery/freeze.hpp"
#include "recovery/machine.hpp"
#include "recovery/progress.hpp"

namespace hasup::daemon {

// Until its replacement is staged the node is left alone.
void unit_runner::begin_beside(std::string why, recovery_options options) {
  put_prefetch_off();
  options.beside = beside_ = true;
  told_to_end_ = false;
  make_recovery();
  stands_at_ = options.newer_than;
  journal_anew_ = true;
  recovery_->begin(std::move(why), std::move(options));
}

// As an earlier hasupd did, whose node ran on.
bool unit_runner::go_on_beside(std::int32_t pid) {
  const auto done = journaled();
  if (!done || !done->plan.asked.beside || done->touched() || done->was_rolled_back) return false;
  if (done->plan.data_dir != unit_.data.dir) return false;
  dispatch(adoption(pid));
  parked_ = false;
  beside_ = true;
  told_to_end_ = false;
  make_recovery();
  stands_at_ = done->plan.asked.newer_than;
  recovery_->resume(journal_records_, true, true);
  // It may have been called off for that, and only the journal's end was not written any more.
  if (maintenance_ && stands_at_) call_off("it is in maintenance");
  return true;
}

// All is ready. Much may have happened since a head stood still: what the node has said meanwhile counts, too, unless
// a person has said yes.
void unit_runner::take_down() {
  take_down_ = true;
  const auto ready = [this] {
    dispatch(unit::recover_wanted{recovery_->view().snapshot + " is ready to replace its state", false, true});
  };
  if (!stands_at_ || recovery_->is_approved()) return ready();
  look_for_holds([this, ready](const std::string& holds) {
    if (!beside_ || !take_down_) return;  // it has ended, or the recovery
    if (holds.empty()) return ready();
    call_off("the node's own output explains it (" + holds + ")");
  });
}

// Nobody asked for it. Not when the node is being stopped for it; while it is being stopped for anything else, its
// end would begin the swap.
void unit_runner::call_off(const std::string& why) {
  const auto* stopping = std::get_if<unit::stopping>(&memory_.now);
  if (!beside_ || (stopping != nullptr && stopping->then == unit::after_stop::recover)) return;
  on(unit::stop_recovery{false, false, why});
}

// Nothing came of it, or a person must say yes: the unit is as it was.
void unit_runner::ended_beside(recovery_outcome outcome, const std::string& reason) {
  const bool runs = state() == model::unit_state::running;
  if (outcome == recovery_outcome::asking) {
    question_ = reason;
    return report("recovery_asks", reason);
  }
  beside_ = take_down_ = false;
  question_.clear();
  const bool cancelled = outcome == recovery_outcome::cancelled;
  const bool is_restarted = runs && stands_at_ && !cancelled;
  const auto why = called_off_.empty() && !told_to_end_ ? reason : called_off_;
  auto text = !cancelled    ? "no recovery: " + reason
              : why.empty() ? "recovery cancelled before anything was touched"
                            : "recovery called off before anything was touched: " + why;
  called_off_.clear();
  if (runs && !is_restarted) text += "; the node was not stopped and runs on";
  if (runs) memory_.reason = text;
  tell_outcome(outcome, text);
  apply_pending_spec();
  follow_prefetch();
  if (runs && stands_at_) {  // its liveness told of this head once
    start_probe(model::probe_role::liveness);
    follow_reference();
  }
  if (is_restarted) dispatch(unit::preparation_failed{reason});
  host_.changed(*this);
}

bool unit_runner::wiped() const {
  if (recovery_active()) return recovery_->wiped();
  if (!parked_) return emptied_;
  const auto done = journaled();
  return done && done->no_way_back();
}

bool unit_runner::asks() const {
  return state() == model::unit_state::asking || (beside_ && !question_.empty());
}

std::string unit_runner::how_to_answer() const {
  const auto name = shown_name(unit_);
  return fmt::format("the recovery of {} is prepared and waits for a yes: `hasup recover {} --yes`, or `--cancel`",
                     name, name);
}

void unit_runner::approve_recovery() {
  if (!beside_) return dispatch(unit::approved{});
  question_.clear();
  recovery_->approve();
}

std::string unit_runner::too_late_to_cancel() const {
  const auto name = shown_name(unit_);
  if (!recovery_active()) {
    if (!half_restored()) return {};
    if (wiped())
      return fmt::format(
          "too late to cancel: the recovery of {} was stopped after it had deleted the old state; `hasup start {}` "
          "goes on with it",
          name, name);
    return fmt::format(
        "too late to cancel: the recovery of {} was stopped after it had replaced the state; `hasup "
        "recover {} --rollback` puts the old state back, `hasup start {}` goes on with it",
        name, name, name);
  }
  if (!recovery_->touched()) return {};
  if (recovery_->wiped())
    return fmt::format(
        "too late to cancel: the old state of {} is deleted, with no way back; `hasup stop {}` stops the recovery "
        "where it is",
        name, name);
  const auto snapshot = recovery_->view().snapshot;
  if (!recovery_->can_roll_back())
    return fmt::format("too late to cancel: {} is confirmed on {}, and the old state is being deleted", name,
                       snapshot);
  return fmt::format(
      "too late to cancel: {} has replaced the state of {}; `hasup recover {} --rollback` puts the old "
      "state back, `hasup stop {}` stops the recovery where it is",
      snapshot, name, name, name);
}

bool unit_runner::dry_run(recovery_options options, dry_run_answer then) {
  if (recovery_active() || busy_with_others()) return false;
  put_prefetch_off();
  auto plan = recovery::freeze(unit_, *recipe_, "dry run", std::move(options));
  base::result<ports::worker_job> job = recovery::job_of(plan, ports::worker_mode::select);
  if (!plan.asked.from.empty()) job = recovery::job_of_file(plan);
  if (!job) {
    then(job.error());
    return true;
  }
  dry_running_ = true;
  start_worker(std::move(*job), false, {},
               [weak = weak_from_this(), plan = std::move(plan), then = std::move(then)](const auto& r) {
                 const auto self = weak.lock();
                 if (!self) return then(base::error{plan.unit + " is gone"});
                 self->dry_running_ = false;
                 if (!r.ok()) return then(base::error{r.error});
                 auto described = recovery::describe_plan(plan, self->recovery_memory_, r.candidates, r.notes,
                                                          {self->now(), self->wall_now()});
                 if (!described || self->recovery_active() || self->worker_.busy()) return then(std::move(described));
                 self->dry_running_ = true;
                 self->add_room(plan, r.candidates, std::move(*described), then);
               });
  return true;
}

// What cannot be measured is left out.
void unit_runner::add_room(const recovery::frozen& plan, std::vector<ports::candidate> candidates,
                           recovery::plan_description described, dry_run_answer then) {
  auto job = recovery::job_of(plan, ports::worker_mode::measure);
  job.look_for_warm = true;
  start_worker(std::move(job), false, {},
               [weak = weak_from_this(), plan, candidates = std::move(candidates), described = std::move(described),
                then = std::move(then)](ports::worker_result r) {
                 const auto self = weak.lock();
                 if (!self) return then(base::error{plan.unit + " is gone"});
                 self->dry_running_ = false;
                 if (!r.room) return then(described);
                 self->host_.add_promised(self->unit_.id, *r.room);
                 const recovery::dry_run_facts facts{std::move(*r.room), std::move(r.warm), self->goes_beside()};
                 then(recovery::with_room(described, plan, self->recovery_memory_, candidates, facts));
               });
}

}  // namespace hasup::daemon
