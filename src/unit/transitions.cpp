#include "unit/transitions.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <utility>

#include "unit/backoff.hpp"
#include "unit/first_state.hpp"

namespace hasup::unit {

using model::desired;
using model::health;

std::string times(unsigned n, const std::string& what) {
  return fmt::format("{} {}{}", n, what, n == 1 ? "" : "s");
}

void transitions::enter(state s, std::string kind, std::string why) {
  m_.now = std::move(s);
  m_.reason = why;
  act(emit{std::move(kind), std::move(why)});
}

void transitions::rest(state s, std::string kind, std::string why) {
  act(cancel_timers{});
  m_.health = health::unknown;
  m_.healthy_since.reset();
  enter(std::move(s), std::move(kind), std::move(why));
}

void transitions::hold_recovery(const std::string& why) {
  rest(failed{why, true}, "failed",
       fmt::format(
           "{}; maintenance holds the recovery back: `hasup maintenance off {}` lets it begin, `hasup start {}` "
           "tries without one",
           why, unit_.id.unit, shown_name(unit_)));
}

void transitions::fail_for_now(const std::string& why) {
  const auto delay = std::min(recover_again_first * (1U << std::min(m_.recovery_tries, 4U)), recover_again_last);
  ++m_.recovery_tries;
  const auto* s = in<recovering>();
  rest(failed{s != nullptr && !s->why.empty() ? s->why : why, false}, "failed",
       fmt::format("{}; the recovery is tried again in {}", why, base::format_duration(delay)));
  act(start_timer{timer::recover_again, delay});
}

void transitions::forgive() {
  m_.starts.clear();
  m_.failed_starts = 0;
  m_.recovery_tries = 0;
  m_.looks_in_vain = 0;
  m_.backoff_step = 0;
  forget_stuck_head();
}

void transitions::forget_stuck_head() {
  m_.stuck_restarts = 0;
  m_.stuck_at.reset();
}

bool transitions::counts_stuck_restarts() const {
  return f_.recipe != nullptr && f_.recipe->stuck_restarts > 0 && unit_.has_recovery();
}

namespace {

std::string standstill(const memory& m) {
  return fmt::format("head {} stands still after {}", *m.stuck_at, times(m.stuck_restarts, "restart"));
}

}  // namespace

void transitions::on_stuck_head(std::uint64_t at, const std::string& holds, const std::string& why) {
  const unsigned trigger = f_.recipe->stuck_restarts;
  m_.stuck_at = std::max(at, m_.stuck_at.value_or(0));  // a restart may have taken it back
  if (m_.stuck_restarts < trigger)
    return restart_for_head(fmt::format("{}; restart {} of {} for that", why, m_.stuck_restarts + 1, trigger));
  if (f_.recovery_beside) return restart_for_head(why);  // what a person has begun follows
  if (!holds.empty())
    return leave_state(fmt::format("but its own output explains it ({}): its state is left as it is", holds));
  if (!f_.reference.advance)
    return leave_state(
        fmt::format("but nothing shows that others advance ({}): its state is left as it is", f_.reference.text));
  act(prepare_recovery{fmt::format("{}, and others advance ({})", standstill(m_), f_.reference.text), *m_.stuck_at});
}

void transitions::restart_for_head(const std::string& why) {
  if (m_.stuck_restarts != std::numeric_limits<unsigned>::max()) ++m_.stuck_restarts;
  back_off_or_fail(why, true);
}

void transitions::leave_state(const std::string& but) {
  const auto told = standstill(m_) + ", " + but;
  act(emit{"head_stuck", told});
  restart_for_head(told);
}

void transitions::begin(const std::string& why) {
  act(cancel_timers{});
  m_.health = health::unknown;
  if (f_.recovery_parked) {
    enter(recovering{}, "recovering", "going on with the recovery that was under way");
    return act(resume_recovery{});
  }
  if (!f_.requirements_met) return wait();
  m_.reason = why;
  prepare_start();
}

void transitions::wait() {
  rest(waiting{}, "waiting", f_.waiting_for.empty() ? "waiting for its requirements" : f_.waiting_for);
}

void transitions::prepare_start() {
  if (start_limit_hit(unit_.restart, m_.starts, f_.now)) {
    const auto why = fmt::format("start limit: {} starts within {}; last: {}", unit_.restart.start_limit_count,
                                 base::format_duration(unit_.restart.start_limit_within), m_.reason);
    if (f_.data_recovers)
      return rest(waiting{true}, "waiting",
                  why + "; started again by itself once the data of " + unit_.data.shared_with + " is restored");
    return fail(fmt::format("{}; `hasup start {}` tries again", why, shown_name(unit_)));
  }
  m_.now = starting{};
  m_.startup_passed = false;
  m_.health = health::unknown;
  m_.healthy_since.reset();
  act(prepare{});
}

void transitions::prepare_again(const std::string& why, base::duration after) {
  if (!m_.starts.empty()) m_.starts.pop_back();
  m_.now = waiting{};
  if (m_.reason != why) act(emit{"waiting", why});
  m_.reason = why;
  act(start_timer{timer::prepare_again, after});
}

void transitions::probe_or_run(starting& s) {
  s.at = starting::step::probing;
  if (unit_.startup)
    act(start_startup_probe{});
  else
    run("");
}

void transitions::hold_back(std::string& held, const std::string& why) {
  if (std::exchange(held, why) != why) act(emit{"restart_held", "in maintenance: " + why});
}

bool transitions::leave_running(const std::string& why) {
  if (f_.journal_damaged)
    act(emit{"restart_held",
             fmt::format("{}; left running: it could not be started again, because the journal of its "
                         "last recovery cannot be read (`hasup why {}`)",
                         why, shown_name(unit_))});
  return f_.journal_damaged;
}

void transitions::run(const std::string& why) {
  act(cancel_timers{});
  m_.held.start_timeout.clear();
  if (unit_.startup || !unit_.readiness) {
    m_.startup_passed = true;
    m_.failed_starts = 0;
  }
  m_.now = running{};
  if (!why.empty()) {
    m_.reason = why;
    act(emit{"running", why});
  }
  if (!unit_.readiness && m_.health != health::healthy) set_health(health::healthy, why.empty() ? m_.reason : why);
  act(start_steady_probes{});
}

void transitions::set_health(health h, const std::string& why) {
  if (m_.health == health::healthy) forgive_after_steady_time();
  m_.health = h;
  m_.reason = why;
  if (h == health::healthy)
    m_.healthy_since = f_.now;
  else
    m_.healthy_since.reset();
  act(emit{h == health::healthy     ? "became_healthy"
           : h == health::unhealthy ? "became_unhealthy"
                                    : "health_unknown",
           why});
}

void transitions::stop(after_stop then, const std::string& why, bool no_kill, base::duration delay) {
  stopping s;
  s.then = then;
  s.no_kill = no_kill;
  s.why = why;
  s.delay = delay;
  s.by_command = !unit_.run.stop_command.empty();
  act(cancel_timers{});
  act(stop_probes{});
  m_.health = health::unknown;
  m_.held = {};
  enter(s, "stopping", why);
  act(send_stop{});
  act(start_timer{timer::stop_timeout, unit_.run.stop_timeout});
}

void transitions::drain_and_stop(after_stop then, const std::string& why, bool no_kill) {
  const bool gets_requests = is<running>() && m_.health == health::healthy;
  if (gets_requests && unit_.run.drain_time.count() > 0) return drain(then, why, no_kill);
  stop(then, why, no_kill);
}

void transitions::drain(after_stop then, const std::string& why, bool no_kill) {
  stopping s;
  s.then = then;
  s.draining = true;
  s.no_kill = no_kill;
  s.why = why;
  act(cancel_timers{});
  act(stop_probes{});
  m_.health = health::unknown;
  m_.held = {};
  enter(s, "draining", fmt::format("{}; draining for {} first", why, base::format_duration(unit_.run.drain_time)));
  act(start_timer{timer::drain, unit_.run.drain_time});
}

// Then and its reason may be others by now.
void transitions::end_drain() {
  auto* s = in<stopping>();
  if (s == nullptr || !s->draining) return;
  s->draining = false;
  s->by_command = !unit_.run.stop_command.empty();
  m_.reason = s->why;
  act(cancel_timers{});
  act(emit{"stopping", s->why});
  act(send_stop{});
  act(start_timer{timer::stop_timeout, unit_.run.stop_timeout});
}

void transitions::go_on_stopping(const stopping& s) {
  // What was decided meanwhile counts more: down is down.
  const bool up = m_.desired == desired::up;
  const auto then = up ? s.then : after_stop::stop;
  // Whoever was to be told may not have been.
  if (s.draining && unit_.run.drain_time.count() > 0)
    drain(then, s.why, s.no_kill);
  else
    stop(then, s.why, s.no_kill, s.delay);
  in<stopping>()->returns = s.returns;
  in<stopping>()->prepared = s.prepared;
  in<stopping>()->killed = s.killed;
}

void transitions::stop_by_signal(const std::string& why) {
  auto* s = in<stopping>();
  if (s == nullptr || !s->by_command || s->main_gone) return;
  s->by_command = false;
  act(emit{"stop_command_failed", why + "; sending " + model::signal_name(unit_.run.stop_signal)});
  act(send_signal{});
  act(start_timer{timer::stop_timeout, unit_.run.stop_timeout});
}

void transitions::stop_preparing(const std::string& why) {
  become_stopping(after_stop::stop, why);
  in<stopping>()->killed = m_.killed;  // no node came to a clean stop
  act(cancel_prepare{});
}

void transitions::on_start_timeout() {
  const auto* s = in<starting>();
  if (s == nullptr || s->at != starting::step::probing) return;
  const auto why = "not started within " + base::format_duration(unit_.run.start_timeout);
  if (f_.maintenance) return hold_back(m_.held.start_timeout, why);
  if (leave_running(why)) return;
  act(emit{"start_failed", why});
  if (unit_.restart.policy == model::restart_when::never) return stop(after_stop::fail, why, false);
  back_off_or_fail(why, true);
}

void transitions::on_stop_timeout() {
  auto* s = in<stopping>();
  if (s == nullptr) return;
  if (s->main_gone && !s->term_sent) {
    s->term_sent = true;
    act(emit{"strays_found", "processes are left after the main process ended; asking them to end"});
    act(term_tree{});
    return act(start_timer{timer::stop_timeout, unit_.run.stop_timeout});
  }
  if (s->by_command && !s->main_gone)
    return stop_by_signal("no end within " + base::format_duration(unit_.run.stop_timeout) + " of stop_command");
  if (s->no_kill) {
    act(emit{"still_stopping", fmt::format("does not end within stop_timeout; not killed, as asked; `hasup signal {} "
                                           "KILL` does",
                                           shown_name(unit_))});
    return act(start_timer{timer::stop_timeout, unit_.run.stop_timeout});
  }
  m_.killed = s->killed = true;
  act(emit{"killed", fmt::format("SIGKILL after {} without an end", base::format_duration(unit_.run.stop_timeout))});
  act(kill_tree{});
  act(start_timer{timer::stop_timeout, stray_grace});
}

void transitions::settle() {
  auto s = std::get<stopping>(m_.now);
  act(cancel_timers{});
  if (f_.recovery_beside) {
    // It would be started only to be stopped again. What the data was good for before, it is good for still.
    const bool again = s.then == after_stop::start || s.then == after_stop::back_off;
    // What wants a person is not overtaken by a recovery that no person has asked for.
    const bool wants_a_person = f_.beside_for_head && !again && s.then != after_stop::recover;
    if (s.then != after_stop::stop && !wants_a_person) return recover(s.why, again || s.returns);
    act(stop_recovery{false, false, s.then == after_stop::stop ? "" : s.why});
  } else if (s.then == after_stop::recover && s.prepared && !f_.recovery_parked) {
    s.then = after_stop::start;
    s.why = "its recovery was called off while it stopped";
  }
  switch (s.then) {
    case after_stop::stop:
      if (!s.killed) m_.killed = false;
      return rest(stopped{}, "stopped", s.why);
    case after_stop::start:
      m_.now = stopped{};
      m_.starts.clear();  // asked for: does not count
      return begin(s.why);
    case after_stop::back_off:
      rest(backoff{s.delay, s.why}, "backing_off",
           fmt::format("{}; next start in {}", s.why, base::format_duration_rounded(s.delay)));
      return act(start_timer{timer::backoff, s.delay});
    case after_stop::recover:
      return recover(s.why, s.returns);
    case after_stop::fail:
      return fail(s.why);
    case after_stop::hold:
      return hold_recovery(s.why);
    case after_stop::complete:
      return rest(completed{}, "completed", s.why);
  }
}

std::string transitions::with_what_began_it(const std::string& why) const {
  const auto* s = std::get_if<recovering>(&m_.now);
  if (s == nullptr || s->why.find(never_from_nothing) == std::string::npos) return why;
  return why + "; " + s->why;
}

void transitions::recover(const std::string& why, bool returns) {
  m_.startup_passed = false;
  if (f_.recovery_parked) {  // there is one already: it goes on
    begin(why);
    in<recovering>()->returns = returns;
    return;
  }
  rest(recovering{why, returns}, "recovering", why);
  act(begin_recovery{why});
}

// A code that the unit file calls a success explains an exit that nothing else does.
classification transitions::as_the_unit_means(const model::exit_status& status, classification c) const {
  const auto& codes = unit_.restart.success_codes;
  const bool listed = status.code && std::find(codes.begin(), codes.end(), *status.code) != codes.end();
  if (listed && m_.startup_passed && c.name == classification{}.name) {
    c.name = "clean exit";
    c.action = exit_action::restart;
    c.evidence.clear();
  }
  return c;
}

void transitions::remember_exit(const model::exit_status& status, const classification& c) {
  const bool lost = status.lost() && c.action == exit_action::unexplained;
  m_.exit = last_exit{status, lost ? "lost" : c.name,           c.evidence, c.advice,
                      f_.now, c.action == exit_action::recover, c.grounds};
}

void transitions::forgive_after_steady_time() {
  if (m_.healthy_since && f_.now - *m_.healthy_since >= backoff_reset_after) m_.backoff_step = 0;
}

void transitions::back_off_or_fail(const std::string& why, bool alive) {
  forgive_after_steady_time();
  const auto delay = backoff_delay(unit_.restart, m_.backoff_step, f_.chance);
  ++m_.backoff_step;
  if (alive)
    stop(after_stop::back_off, why, false, delay);
  else
    become_stopping(after_stop::back_off, why, delay);
}

void transitions::become_stopping(after_stop then, std::string why, base::duration delay) {
  act(cancel_timers{});
  act(stop_probes{});
  m_.health = health::unknown;
  m_.held = {};
  stopping s;
  s.then = then;
  s.main_gone = true;
  s.why = std::move(why);
  s.delay = delay;
  m_.now = s;
  m_.reason = std::get<stopping>(m_.now).why;
}

void transitions::decide_after_exit(const model::exit_status& status, const classification& c,
                                    const std::string& text) {
  const bool failed_start = !m_.startup_passed;
  const auto& codes = unit_.restart.success_codes;
  const bool success =
      !failed_start && status.code && std::find(codes.begin(), codes.end(), *status.code) != codes.end();
  if (m_.desired == desired::down) return become_stopping(after_stop::stop, text);
  if (c.action == exit_action::hold) {
    return become_stopping(after_stop::fail, text + (c.advice.empty() ? "" : "; " + c.advice));
  }
  if (c.action == exit_action::recover && unit_.has_recovery())
    return f_.maintenance ? become_stopping(after_stop::hold, text)
                          : become_stopping(after_stop::recover, text + "; recovering");
  if (failed_start && c.action != exit_action::unexplained) m_.failed_starts = 0;  // those are in a row no more
  if (failed_start && c.action == exit_action::unexplained) {
    ++m_.failed_starts;
    const unsigned trigger = f_.recipe != nullptr ? f_.recipe->failed_starts : 0;
    if (unit_.has_recovery() && trigger > 0 && m_.failed_starts >= trigger) {
      const auto why = fmt::format("{}; {} failed starts in a row", text, m_.failed_starts);
      return f_.maintenance ? become_stopping(after_stop::hold, why)
                            : become_stopping(after_stop::recover, why + "; recovering");
    }
  }
  const bool leaves = c.action == exit_action::next_endpoint;
  if (leaves) act(leave_endpoint{c.upstream, text});
  if (success && unit_.restart.policy != model::restart_when::always)
    return become_stopping(after_stop::complete, text);
  if (unit_.restart.policy == model::restart_when::never) return become_stopping(after_stop::fail, text);
  const auto told = leaves && !f_.after_endpoint.empty() ? text + "; " + f_.after_endpoint : text;
  back_off_or_fail(failed_start ? "failed start: " + told : told, false);
}

}  // namespace hasup::unit
