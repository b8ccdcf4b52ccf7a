// The unit machine: one function for each event, each looking at the states in which it means something.
#include "unit/machine.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "unit/transitions.hpp"

namespace hasup::unit {

model::unit_state name_of(const state& s) {
  using model::unit_state;
  struct {
    unit_state operator()(const stopped&) const { return unit_state::stopped; }
    unit_state operator()(const waiting&) const { return unit_state::waiting; }
    unit_state operator()(const starting&) const { return unit_state::starting; }
    unit_state operator()(const running&) const { return unit_state::running; }
    unit_state operator()(const completed&) const { return unit_state::completed; }
    unit_state operator()(const backoff&) const { return unit_state::backoff; }
    unit_state operator()(const stopping&) const { return unit_state::stopping; }
    unit_state operator()(const recovering&) const { return unit_state::recovering; }
    unit_state operator()(const failed&) const { return unit_state::failed; }
    unit_state operator()(const asking&) const { return unit_state::asking; }
  } visitor;
  return std::visit(visitor, s);
}

namespace {

using model::desired;
using model::health;

class step : transitions {
 public:
  step(memory& m, const facts& f, actions& out) : transitions(m, f, out) {}

  void on(const start_wanted& e) {
    m_.desired = desired::up;
    if (e.by_hand) forgive();
    if (is<stopped>() || is<failed>() || is<completed>() || is<backoff>() || (e.by_hand && has_given_up_on_data()))
      begin(e.by_hand ? "start asked for" : "enabled");
    else if (auto* r = in<recovering>(); r != nullptr)
      r->start_after = r->ending;
    else if (auto* s = in<stopping>();
             s && (s->then == after_stop::stop || (e.by_hand && s->then != after_stop::recover)))
      s->then = after_stop::start;
  }

  void on(const stop_wanted& e) {
    m_.desired = desired::down;
    if (f_.recovery_beside) act(stop_recovery{e.force, e.no_kill});
    if (is<waiting>() || is<backoff>() || is<failed>() || is<completed>()) return rest(stopped{}, "stopped", e.why);
    if (auto* s = in<starting>(); s && s->at == starting::step::preparing) {
      return stop_preparing(e.why);
    }
    if (has_process()) return drain_and_stop(after_stop::stop, e.why, e.no_kill);
    if (auto* s = in<stopping>()) {
      s->then = after_stop::stop;
      s->no_kill = s->no_kill || e.no_kill;  // asked for once, it holds: whoever asks again may not know of it
      s->why = e.why;
      return e.hurry ? end_drain() : void();
    }
    if (auto* r = in<recovering>()) {
      r->ending = true;
      r->start_after = false;
    }
    if (is<recovering>() || is<asking>()) act(stop_recovery{e.force, e.no_kill});
  }

  void on(const adopt_wanted& e) {
    if (has_process() || preparing() || is<stopping>() || is<recovering>() || is<asking>()) return;
    m_.desired = desired::up;
    forgive();
    act(cancel_timers{});
    m_.startup_passed = false;
    m_.health = health::unknown;
    m_.healthy_since.reset();
    enter(starting{starting::step::spawning}, "adopting", e.why);
  }

  void on(const restart_wanted& e) {
    m_.desired = desired::up;
    forgive();
    if (has_process()) return drain_and_stop(after_stop::start, e.why, false);
    if (auto* s = in<stopping>()) {
      s->then = after_stop::start;
      s->why = e.why;
      return;
    }
    on(start_wanted{});
  }

  void on(const recover_wanted& e) {
    const bool has_node = has_process() || is<stopping>();
    if (e.prepared && (!f_.recovery_beside || !has_node || m_.desired == desired::down)) return;
    if (!e.stays_down) m_.desired = desired::up;
    if (has_process()) {
      const bool worked = m_.startup_passed;
      drain_and_stop(after_stop::recover, e.why, false);
      in<stopping>()->returns = worked;
      in<stopping>()->prepared = e.prepared;
      return;
    }
    if (auto* s = in<stopping>()) {
      s->then = after_stop::recover;
      s->prepared = e.prepared;
      s->why = e.why;
      return;
    }
    if (auto* s = in<starting>(); s != nullptr) act(cancel_prepare{});
    if (is<recovering>() || is<asking>()) return;
    recover(e.why);
  }

  void on(const approved&) {
    if (!is<asking>()) return;
    enter(recovering{}, "recovering", "approved: the recovery goes on");
    act(approve_recovery{});
  }

  void on(const reset_wanted&) {
    forgive();
    m_.killed = false;
    if ((is<failed>() || has_given_up_on_data()) && m_.desired == desired::up)
      begin("reset");
    else if (is<failed>())
      rest(stopped{}, "stopped", "reset");
  }

  void on(const requirements_changed&) {
    if (!is<waiting>()) return;
    if (!f_.requirements_met) {
      m_.reason = f_.waiting_for;
      return;
    }
    if (has_given_up_on_data()) {
      if (f_.data_recovers) return;
      m_.starts.clear();  // those were on other data
    }
    prepare_start();
  }

  void on(const requirement_lost& e) {
    if (e.loss == model::on_loss::keep) return;
    if (f_.maintenance && !e.closes_data) {  // what does not run yet waits for it anyway
      if (has_process()) hold_back(m_.held.requirement_lost, e.why);
      return;
    }
    const bool again = e.loss == model::on_loss::restart;
    if (!again && is<backoff>()) {
      m_.desired = desired::down;
      return rest(stopped{}, "stopped", e.why);
    }
    if (auto* s = in<stopping>(); s != nullptr && !again && s->then != after_stop::recover) {
      m_.desired = desired::down;
      s->then = after_stop::stop;
      s->why = e.why;
      return;
    }
    if (!(has_process() || preparing())) return;
    // It is there again, and nothing ran that could have missed it. Nobody would wake us from waiting for it either.
    if (again && preparing() && f_.requirements_met) return;
    if (again && !e.closes_data && has_process() && leave_running(e.why)) return;
    if (!again) m_.desired = desired::down;
    if (preparing()) {
      if (!again) return stop_preparing(e.why);
      act(cancel_prepare{});
      return wait();
    }
    stop(again ? after_stop::start : after_stop::stop, e.why, false);
  }

  void on(const prepared& e) {
    if (!preparing()) return;
    const auto in_vain = std::exchange(m_.looks_in_vain, 0U);
    switch (e.is) {
      case prepared::verdict::ready:
        if (!f_.requirements_met) return wait();
        m_.now = starting{starting::step::spawning};
        act(spawn{});
        return;
      case prepared::verdict::not_yet:
        return prepare_again(e.why, prepare_again_after);
      case prepared::verdict::unseen: {
        const auto pause = look_again_first * (1U << std::min(in_vain, 6U));
        m_.looks_in_vain = in_vain + 1;
        return prepare_again(e.why, std::min<base::duration>(pause, look_again_last));
      }
      case prepared::verdict::refused:
        return fail(e.why);
      case prepared::verdict::needs_recovery:
        if (unit_.has_recovery()) return recover_by_itself(e.why);
        return fail(e.why +
                    (unit_.recovery.recipe.empty() ? "; there is no [recovery] to restore it from"
                                                   : "; its [recovery] is off") +
                    "; `hasup start " + shown_name(unit_) + " --from-nothing` begins without it");
    }
  }

  void on(const spawned& e) {
    auto* s = in<starting>();
    if (s == nullptr) return;
    m_.startup_passed = false;
    m_.reason = fmt::format("started as pid {}", e.pid);
    act(emit{"started", m_.reason});
    probe_or_run(*s);
    if (is<starting>()) act(start_timer{timer::start_timeout, unit_.run.start_timeout});
  }

  void on(const spawn_failed& e) {
    if (is<stopping>()) {  // told to stop while it was on its way: there is nothing that could end
      remember_exit({}, e.class_of);
      act(emit{"start_failed", e.why});
      return settle();
    }
    if (!is<starting>()) return;
    remember_exit({}, e.class_of);
    act(emit{"start_failed", e.why});
    decide_after_exit({}, e.class_of, e.why);
    settle();
  }

  void on(const adopted& e) {
    m_.health = health::unknown;  // startup_passed stays: it is the same run
    m_.restarts += e.restarts;
    for (unsigned i = 0; i < std::min(e.uncounted, unit_.restart.start_limit_count); ++i)
      m_.starts.push_back(f_.now - e.age);
    starting s{starting::step::probing};
    m_.reason = fmt::format("adopted: pid {} ran on", e.pid);
    m_.now = s;
    act(emit{"adopted", m_.reason});
    if (e.interrupted) return go_on_stopping(*e.interrupted);
    if (m_.desired == desired::down) return stop(after_stop::stop, "stopped by hand", false);
    const bool had_started = m_.startup_passed;
    probe_or_run(*in<starting>());
    if (!is<starting>()) return;
    const auto limit = unit_.run.start_timeout;
    act(start_timer{timer::start_timeout,
                    had_started ? limit : std::min(limit, std::max(limit - e.age, adopted_grace))});
  }

  void on(const main_exited& e) {
    if (auto* s = in<stopping>(); s != nullptr) {
      s->main_gone = true;
      if (std::exchange(s->draining, false)) m_.reason = s->why;
      remember_exit(e.status, as_the_unit_means(e.status, e.class_of));
      if (!e.told) act(emit{"exited", "exited with " + to_text(e.status)});
      // A node told to stop for a restart that turns out to be broken is seen at its next start.
      act(start_timer{timer::stop_timeout, stray_grace});
      return;
    }
    if (!has_process()) return;
    const auto found = as_the_unit_means(e.status, e.class_of);
    remember_exit(e.status, found);
    const auto text = exit_text(e.status, found);
    if (!e.told) act(emit{"exited", text});
    decide_after_exit(e.status, found, text + quoted_line(found));
    act(start_timer{timer::stop_timeout, stray_grace});
  }

  void on(const tree_emptied&) {
    if (is<stopping>()) settle();
  }

  void on(const stop_command_failed& e) { stop_by_signal(e.why); }

  void on(const startup_passed&) {
    if (auto* s = in<starting>(); s && s->at == starting::step::probing) return run("startup passed");
    if (!is<running>()) return;
    m_.startup_passed = true;
    m_.failed_starts = 0;
  }

  void on(const health_changed& e) {
    if (!is<running>() || e.health == m_.health) return;
    set_health(e.health, e.why);
  }

  void on(const liveness_failed& e) {
    if (!is<running>() || f_.maintenance) return;
    const auto why = "liveness failed: " + e.why;
    if (leave_running(why)) return;
    if (f_.beside_for_head) return act(emit{"liveness_ignored", why + "; its state is about to be replaced"});
    if (unit_.restart.policy == model::restart_when::never) return stop(after_stop::fail, why, false);
    if (e.stands_at && counts_stuck_restarts()) return on_stuck_head(*e.stands_at, e.holds, why);
    back_off_or_fail(why, true);
  }

  void on(const head_seen& e) {
    if (f_.beside_for_head && e.number > *f_.beside_for_head && has_process())  // else it is being taken down for it
      act(stop_recovery{false, false,
                        fmt::format("head {} is beyond {}, where it stood still", e.number, *f_.beside_for_head)});
    if (!m_.stuck_at || e.number <= *m_.stuck_at) return;
    act(emit{"head_advances", fmt::format("head {} stood still and is passed: it advances again after {}",
                                          *m_.stuck_at, times(m_.stuck_restarts, "restart"))});
    forget_stuck_head();
  }

  // The head may have been passed, or a person is at work on it, since it was told.
  void on(const preparation_failed& e) {
    if (!is<running>() || !m_.stuck_at || f_.maintenance) return;
    leave_state("and others advance, but " + e.why);
  }

  // A restart in order, whatever the policy: the key asks for it.
  void on(const memory_exceeded& e) {
    if (!is<running>() || f_.maintenance) return;
    if (f_.journal_damaged && std::exchange(m_.held.memory_told, true)) return;  // it is measured again and again
    if (leave_running(e.why)) return;
    back_off_or_fail(e.why, true);
  }

  // A stop in order; the start that follows waits for space. What is never started a second time has failed.
  void on(const space_low& e) {
    if (!has_process() || f_.maintenance) return;
    act(emit{"disk_low", e.why});
    const bool once = unit_.restart.policy == model::restart_when::never;
    stop(once ? after_stop::fail : after_stop::start, e.why, false);
  }

  // A restart in order. Not of what is never started a second time: it may come to its end, which will be unknown.
  void on(const parent_lost& e) {
    if (!has_process() || unit_.restart.policy == model::restart_when::never) return;
    if (f_.maintenance) return hold_back(m_.held.parent_lost, e.why);
    if (!leave_running(e.why)) back_off_or_fail(e.why, true);
  }

  void on(const maintenance_ended&) {
    const auto held = std::exchange(m_.held, {});  // a requirement that is still lost is told anew
    if (!held.parent_lost.empty()) return on(parent_lost{held.parent_lost});
    if (!held.start_timeout.empty()) return on_start_timeout();
    const auto* s = in<failed>();
    if (s == nullptr || !s->held || m_.desired == desired::down) return;
    const auto why = s->recover_why;
    recover(why);
  }

  void on(const timer_fired& e) {
    switch (e.which) {
      case timer::backoff:
        if (const auto* s = in<backoff>()) {
          begin(std::string(s->why));
          if (!is<failed>()) ++m_.restarts;  // else by the start limit
        }
        return;
      case timer::prepare_again:
        if (is<waiting>() && f_.requirements_met) prepare_start();
        return;
      case timer::recover_again:
        if (const auto* s = in<failed>(); s && !s->recover_why.empty() && m_.desired == desired::up) {
          const auto why = s->recover_why;
          return f_.recovery_parked ? begin(why) : recover_by_itself(why);
        }
        return;
      case timer::start_timeout:
        return on_start_timeout();
      case timer::stop_timeout:
        return on_stop_timeout();
      case timer::drain:
        return end_drain();
    }
  }

  void on(const recovery_ended& e) {
    if (!is<recovering>() && !is<asking>()) return;
    using outcome = recovery_ended::outcome;
    const bool ended = e.is == outcome::failed || e.is == outcome::stopped;
    const bool wanted = m_.desired == desired::up;
    if (ended && e.node_alive) return stop(wanted ? after_stop::fail : after_stop::stop, e.why, false);
    if (const auto* r = in<recovering>(); ended && wanted && r != nullptr && r->start_after) return begin(e.why);
    if (ended && wanted && e.as_before && (returns() || e.returns)) {
      act(emit{"recovery_failed", e.why + "; starting on the state as it was"});
      return begin(e.why);
    }
    switch (e.is) {
      case outcome::recovered:
        if (!e.counted) ++m_.recoveries;
        forgive();
        m_.now = starting{starting::step::probing};
        if (!e.serves && wanted) {
          m_.reason = e.why;
          probe_or_run(*in<starting>());
          if (is<starting>()) act(start_timer{timer::start_timeout, unit_.run.start_timeout});
          return;
        }
        run(e.why);
        m_.startup_passed = true;
        if (!wanted) return stop(after_stop::stop, "stopped by hand", false);
        if (m_.health != health::healthy) set_health(health::healthy, e.why);
        return;
      case outcome::failed:
        return e.try_later && wanted ? fail_for_now(with_what_began_it(e.why)) : fail(with_what_began_it(e.why));
      case outcome::stopped:
        if (!wanted) return rest(stopped{}, "stopped", e.why);
        // Cancelled, but not stopped: what is broken is not tried again behind the person's back.
        return fail(fmt::format("{}; `hasup recover {}` or `hasup start {}` goes on", e.why, shown_name(unit_),
                                shown_name(unit_)));
      case outcome::asking:
        return enter(asking{}, "asking", e.why);
    }
  }
};

}  // namespace

void next(memory& m, const event& e, const facts& f, actions& out) {
  step s(m, f, out);
  std::visit([&](const auto& what) { s.on(what); }, e);
}

}  // namespace hasup::unit
