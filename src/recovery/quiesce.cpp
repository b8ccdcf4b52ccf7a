// Who is kept from the data, and when: its node before it is looked at, the units that read it right before it is
// touched; and the look at what an earlier recovery may have left, or who else has it open.
#include "recovery/stepper.hpp"

namespace hasup::recovery {

// Until the data is touched its readers go on with what nobody changes: the archives may take hours to come.
void stepper::quiesce_first(bool readers) {
  // A person who said yes wants the state replaced however its node is.
  if (s.head_unknown && !s.done.is_approved && !s.done.approved_in_place) {
    s.now = awaiting_head{};
    say("waiting", "the replacement is ready; the node is asked first whether its head still stands");
    out.emplace_back(start_timer{s.done.plan.recipe.confirm_within});
    return;
  }
  s.now = quiescing{};
  if (readers) s.readers = readers_of_data::down;
  out.emplace_back(quiesce{readers});
}

void stepper::release() {
  s.readers = readers_of_data::released;
  out.emplace_back(release_readers{});
}

// Before anything that may take long. Where the old state is deleted there is nothing to read.
void stepper::release_before_swap() {
  if (s.readers != readers_of_data::released && !s.done.wiped) release();
}

// That it stood still was told to another hasupd. Who has the node calls the recovery off when it does no more.
void stepper::on_head_beside(std::uint64_t number) {
  s.head_passed = number > s.done.plan.asked.newer_than.value_or(0);
  if (!s.head_passed) head_is_settled();
}

// Silence is no evidence: what was fetched is kept, and the node's liveness judges anew.
void stepper::on_head_unheard() {
  if (s.head_passed) return stop(false);  // and who has the node could not call it off yet
  end(outcome::cancelled, "nobody could ask the node for its head within " +
                              base::format_duration(s.done.plan.recipe.confirm_within) +
                              ", so whether it still stands is not known");
}

void stepper::on_node_given() {
  s.node_given = true;
  head_is_settled();
}

// Nothing is waited for any more.
void stepper::head_is_settled() {
  s.head_unknown = false;
  if (s.head_passed) return stop(false);
  if (!std::holds_alternative<awaiting_head>(s.now)) return;
  out.emplace_back(cancel_timer{});
  quiesce_first();
}

void stepper::inspect() {
  s.now = inspecting{};
  run(ports::worker_mode::inspect);
}

void stepper::on_inspected(const ports::worker_result& r) {
  // What is half swapped, or gone, is not to be read; and who has it open may be a reader's child of just now.
  if ((r.half_swapped || r.wiped || r.writer) && s.readers != readers_of_data::down) return quiesce_first();
  if (r.writer) {
    // Beside a stranger that uses it the state may well be good: a start finds out, and replaces nothing by itself.
    const auto then =
        s.done.plan.asked.by_hand
            ? "`hasup recover " + unit_name() + "`"
            : "`hasup start " + unit_name() + "`, or take it over with `hasup start --adopt " + unit_name() + "`";
    return end(outcome::refused, "process " + std::to_string(r.writer->pid) + " (" + r.writer->command + ") has " +
                                     r.writer->path + " open; " +
                                     (s.done.was_rolled_back ? old_state_is_back() : "nothing was touched") +
                                     ", stop it and then " + then);
  }
  if (!r.ok()) {
    if (r.failure == ports::worker_failure::internal) return retry_worker(step::inspect, r);
    return end(outcome::refused, r.error);
  }
  if (!r.mounted) return end(outcome::refused, "the volume of the data directory is not mounted" + untouched());
  s.tries = 0;
  s.inspected = true;
  s.warm = r.warm;
  const bool knew = s.done.wiped;
  if (r.swap_phase == "confirmed") {
    say("leftover", "an earlier recovery of " + unit_name() +
                        " was confirmed and its journal is gone; deleting what it had replaced");
    s.now = undoing_leftover{true};
    return run(ports::worker_mode::clean_up);
  }
  if (r.wiped && !knew) commit(wiped{});
  if (r.half_swapped && !knew) {
    // The journal knows of no swap, so an earlier recovery lost its journal: the way back is the safe one.
    say("leftover",
        "an earlier recovery of " + unit_name() + " was not finished and its journal is gone; undoing it");
    s.now = undoing_leftover{};
    return run(ports::worker_mode::roll_back);
  }
  go_on_before_swap();
}

void stepper::on_leftover_undone(const ports::worker_result& r) {
  const bool confirmed = std::get<undoing_leftover>(s.now).confirmed;
  if (!r.ok() && confirmed)
    return end(outcome::refused, "what an earlier, confirmed recovery had replaced cannot be deleted: " + r.error +
                                     "; once that is mended, `hasup start " + unit_name() + "`");
  if (!r.ok())
    return end(outcome::refused, "an earlier recovery left its data half swapped and cannot be undone: " + r.error);
  if (r.wiped && !confirmed) {
    if (!s.done.wiped) commit(wiped{});
    say("wiped", "the old state was deleted by an earlier recovery; this one goes on without it");
  }
  if (!r.inexact.empty()) say("note", "the old state is back, but " + r.inexact);
  if (s.stop) return end_as_stopped();
  // What was staged may have been swapped in and removed again.
  if (s.done.at == mark::staged) return try_candidate(*s.done.current);
  go_on_before_swap();
}

}  // namespace hasup::recovery
