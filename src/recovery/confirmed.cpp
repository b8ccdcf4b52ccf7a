// Confirmed: there is no way back from here, the old state goes, and a living node is handed over.
#include <algorithm>
#include <utility>

#include "recovery/stepper.hpp"

namespace hasup::recovery {

bool serves(const state& s) {
  if (std::holds_alternative<running>(s.now)) return s.confirmed_by_itself && !s.stop;
  const auto* c = std::get_if<cleaning>(&s.now);
  return c != nullptr && c->node_up && !s.stop;
}

void stepper::on_confirmed() {
  const auto& r = std::get<running>(s.now);
  if (!group_confirms()) {
    if (!std::exchange(s.confirmed_by_itself, true))
      say("confirmed_by_itself",
          (r.last ? "the head advances, now " + std::to_string(*r.last) : std::string("the node is healthy")) +
              "; the old state is kept until all of group " + s.done.plan.group + " are that far");
    return arm_running_timer();
  }
  commit(confirmed{});
  say("confirmed", r.last ? "the head advances, now " + std::to_string(*r.last) : "the node is healthy");
  out.emplace_back(cancel_timer{});
  release();
  clean_up(true);
}

void stepper::clean_up(bool node_up) {
  cleaning c;
  c.node_up = node_up;
  s.now = c;
  s.tries = 0;
  run(ports::worker_mode::clean_up);
}

// The old state must go before the recovery can end: until then its marker forbids ordinary starts.
void stepper::on_cleaned(const ports::worker_result& r) {
  auto& c = std::get<cleaning>(s.now);
  c.worker_busy = false;
  if (r.ok()) {
    c.cleaned = true;
  } else {
    ++s.tries;
    if (s.tries <= 5 || s.tries % 60 == 0) say("retry", "the old state is not deleted yet: " + r.error);
    out.emplace_back(start_timer{
        std::min<base::duration>(base::duration{1000} * (1U << std::min(s.tries - 1, 10U)), longest_pause)});
  }
  settle_clean_up();
}

void stepper::settle_clean_up() {
  auto& c = std::get<cleaning>(s.now);
  if (s.stop) {
    if (c.worker_busy || c.node_up || c.node_starting) return;
    if (!c.cleaned)
      return end(outcome::parked,
                 "stopped; the old state is not deleted yet, which `hasup start " + unit_name() + "` goes on with");
    // The recovery is complete; only the unit is wanted down.
    if (group_may_need_us()) return end(outcome::parked, "stopped; the others of its group are not confirmed yet");
    out.emplace_back(cancel_timer{});
    out.emplace_back(clear_journal{});
    s.done = progress{};
    s.now = ended{outcome::parked};
    s.stop = s.stop_by_force = false;
    out.emplace_back(finish{outcome::parked, "stopped; the recovery was complete"});
    return;
  }
  if (c.cleaned && c.node_up && !group_may_need_us())
    return end(outcome::recovered,
               "recovered from " + chosen_name() + " (plan \"" + s.done.chosen_plan()->name + "\")");
  if (c.cleaned && c.node_up && !std::exchange(c.told, true))
    say("waits", "all is done here; waits until the others of group " + s.done.plan.group + " are confirmed, too");
  if (!c.worker_busy && !c.node_up && !c.node_starting && !c.pausing) {
    c.node_starting = true;
    out.emplace_back(start_node{});
  }
}

}  // namespace hasup::recovery
