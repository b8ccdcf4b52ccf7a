// A recovery that an earlier hasupd began, or that was parked, goes on: from the journal, and with a worker that
// still runs for it.
#include <algorithm>
#include <utility>

#include "recovery/candidates.hpp"
#include "recovery/pace.hpp"
#include "recovery/stepper.hpp"

namespace hasup::recovery {

// The journal is ahead of the intent file when the daemon died in between.
void stepper::remember_what_the_journal_knows() {
  const auto& p = s.done;
  for (const auto& at : p.swaps)
    if (std::find(s.remembered.swaps.begin(), s.remembered.swaps.end(), at) == s.remembered.swaps.end())
      s.remembered.swaps.push_back(at);
  for (std::size_t i = 0; i < p.candidates.size(); ++i)
    if (p.fates[i] == fate::bad) remember_as_bad(s.remembered, p.candidates[i], {});
}

void stepper::resume(const resume_wanted& e) {
  if (!takes_a_begin(s)) return;
  start_over(e.done);
  auto& p = s.done;
  if (!s.remembered.forgiven) remember_what_the_journal_knows();

  if (p.at == mark::none) return end(outcome::cancelled, "no recovery was under way");
  // It may have been called off, and only that was not written down yet. A start tells what the head does now; what
  // was fetched is kept.
  const bool for_head = p.plan.asked.newer_than && before_swap(s) && !p.was_rolled_back;
  if (for_head && !e.node_running)
    return end(outcome::cancelled,
               "hasupd or the machine went down while it was prepared for a head that stood still, and whether it "
               "still does is not known" +
                   untouched());
  s.head_unknown = for_head && e.beside;
  s.wipe_was_tried = p.at == mark::wiping;
  s.to_look = p.touched() && !e.node_running;
  say("resumed", "going on with the recovery of " + unit_name() + ": " + p.plan.why);
  if (p.undo_wanted) {
    if (e.node_running) s.now = running{};
    const bool on_its_way = p.at == mark::rolling_back;  // then only what comes after it is another
    undo();
    if (!on_its_way) return;
  }
  if (p.at == mark::selected && p.then != after_roll_back::next && p.then != after_roll_back::again)
    return after_rolled_back();
  if (p.at == mark::staged && must_ask()) return ask();
  if (p.at == mark::confirmed) return e.node_running ? clean_up(true) : look();
  // A node that was cut off may have left its state unfinished; only a rewipe makes up for that.
  if (!e.node_running && p.at == mark::loaded) s.tainted = true;
  if (!e.node_running && p.at >= mark::importing && p.at <= mark::first_start) s.tainted = keeps_its_state();
  if (e.node_running && (p.at == mark::importing || p.at == mark::first_start || p.at == mark::loaded)) {
    s.now = starting{};
    return on_node_started();
  }
  if (e.node_running && p.at == mark::rolling_back) return stop_running_node(false);
  if (p.at == mark::loaded) return look();
  s.to_take_up = p.at == mark::trying;
  if (!e.beside || !before_swap(s)) return quiesce_first(p.touched());
  if (std::exchange(s.to_take_up, false)) return take_up(true);
  go_on_before_swap();
}

// What still fetches or unpacks for an earlier hasupd has a head start of hours, perhaps: nothing else is asked of
// the worker before it has ended.
void stepper::take_up(bool beside) {
  s.now = taking_up{beside};
  s.need = space_need_of(*s.done.chosen(), *s.done.chosen_plan(), {});  // nobody has measured what is there of it
  out.emplace_back(take_up_worker{*s.done.chosen()});
}

// An archive that is whole is found in the cache by the fetch that comes now, once there was a look at what may have
// changed meanwhile; what is unpacked would be unpacked anew, and a bad archive fetched anew.
void stepper::on_taken_up(const taken_up& e) {
  if (is<cancelling>(s)) return end_as_stopped();
  const auto* at = std::get_if<taking_up>(&s.now);
  if (at == nullptr) return;
  const bool beside = at->beside;
  if (e.what && e.result.failure == ports::worker_failure::bad_snapshot) return drop(fate::bad, e.result.error);
  if (e.what == ports::worker_mode::unpack && e.result.ok()) return on_unpacked(e.result);
  if (e.what == ports::worker_mode::fetch) note_pace(s.remembered.measured, *e.what, e.result, now.wall);
  if (beside) return go_on_before_swap();
  s.to_look ? look() : inspect();
}

}  // namespace hasup::recovery
