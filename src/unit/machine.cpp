// The unit machine: one function for each event, each looking at the states in which it means something.
#include "unit/machine.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "unit/backoff.hpp"

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

constexpr base::duration stray_grace{5'000};  // what a dead main process leaves behind gets this long to end
constexpr base::duration prepare_again_after{5'000};
constexpr base::duration recover_again_first{60'000};  // doubled each time
constexpr base::duration recover_again_last{600'000};

class step {
 public:
  step(memory& m, const facts& f, actions& out) : m_(m), f_(f), unit_(*f.unit), out_(out) {}

  void on(const start_wanted& e) {
    m_.desired = desired::up;
    if (e.by_hand) forgive();
    if (is<stopped>() || is<failed>() || is<completed>() || is<backoff>())
      begin(e.by_hand ? "start asked for" : "enabled");
    else if (auto* r = in<recovering>(); r != nullptr)
      r->start_after = r->ending;
    else if (auto* s = in<stopping>();
             s && (s->then == after_stop::stop || (e.by_hand && s->then != after_stop::recover)))
      s->then = after_stop::start;
  }

  void on(const stop_wanted& e) {
    m_.desired = desired::down;
    if (is<waiting>() || is<backoff>() || is<failed>() || is<completed>()) return rest(stopped{}, "stopped", e.why);
    if (auto* s = in<starting>(); s && s->at == starting::step::preparing) {
      act(cancel_prepare{});
      return rest(stopped{}, "stopped", e.why);
    }
    if (has_process()) return stop(after_stop::stop, e.why, e.no_kill);
    if (auto* s = in<stopping>()) {
      s->then = after_stop::stop;
      s->no_kill = e.no_kill;  // who asks again may have changed their mind
      s->why = e.why;
      return;
    }
    if (auto* r = in<recovering>()) {
      r->ending = true;
      r->start_after = false;
    }
    if (is<recovering>() || is<asking>()) act(stop_recovery{e.force, e.no_kill});
  }

  void on(const restart_wanted& e) {
    m_.desired = desired::up;
    forgive();
    if (has_process()) return stop(after_stop::start, e.why, false);
    if (auto* s = in<stopping>()) {
      s->then = after_stop::start;
      s->why = e.why;
      return;
    }
    on(start_wanted{});
  }

  void on(const recover_wanted& e) {
    m_.desired = desired::up;
    if (has_process()) {
      const bool worked = m_.startup_passed;
      stop(after_stop::recover, e.why, false);
      in<stopping>()->returns = worked;
      return;
    }
    if (auto* s = in<stopping>()) {
      s->then = after_stop::recover;
      s->why = e.why;
      return;
    }
    if (auto* s = in<starting>(); s != nullptr) act(cancel_prepare{});
    if (is<recovering>() || is<asking>()) return;
    if (f_.recovery_parked) return begin(e.why);  // there is one already: it goes on
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
    if (is<failed>() && m_.desired == desired::up)
      begin("reset");
    else if (is<failed>())
      rest(stopped{}, "stopped", "reset");
  }

  void on(const requirements_changed&) {
    if (!is<waiting>()) return;
    if (f_.requirements_met)
      prepare_start();
    else
      m_.reason = f_.waiting_for;
  }

  void on(const requirement_lost& e) {
    if (e.loss == model::on_loss::keep) return;
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
    if (!again) m_.desired = desired::down;
    if (preparing()) {
      act(cancel_prepare{});
      return again ? wait() : rest(stopped{}, "stopped", e.why);
    }
    stop(again ? after_stop::start : after_stop::stop, e.why, false);
  }

  void on(const prepared& e) {
    if (!preparing()) return;
    switch (e.is) {
      case prepared::verdict::ready:
        if (!f_.requirements_met) return wait();
        m_.now = starting{starting::step::spawning};
        act(spawn{});
        return;
      case prepared::verdict::not_yet:
        if (!m_.starts.empty()) m_.starts.pop_back();  // was no start
        m_.now = waiting{};
        if (m_.reason != e.why) act(emit{"waiting", e.why});
        m_.reason = e.why;
        return act(start_timer{timer::prepare_again, prepare_again_after});
      case prepared::verdict::refused:
        return fail(e.why);
      case prepared::verdict::needs_recovery:
        if (unit_.has_recovery()) return recover(e.why);
        return fail(e.why + "; there is no [recovery] to restore it from");
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
    starting s{starting::step::probing};
    m_.reason = fmt::format("adopted: pid {} ran on", e.pid);
    m_.now = s;
    act(emit{"adopted", m_.reason});
    if (m_.desired == desired::down) return stop(after_stop::stop, "stopped by hand", false);
    probe_or_run(*in<starting>());
  }

  void on(const main_exited& e) {
    if (auto* s = in<stopping>(); s != nullptr) {
      s->main_gone = true;
      remember_exit(e.status, e.class_of);
      act(emit{"exited", "exited with " + to_text(e.status)});
      // A node told to stop for a restart that turns out to be broken is seen at its next start.
      act(start_timer{timer::stop_timeout, stray_grace});
      return;
    }
    if (!has_process()) return;
    remember_exit(e.status, e.class_of);
    const auto text = describe_exit(e.status, e.class_of);
    act(emit{"exited", text});
    decide_after_exit(e.status, e.class_of, text);
    act(start_timer{timer::stop_timeout, stray_grace});
  }

  void on(const tree_emptied&) {
    if (is<stopping>()) settle();
  }

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
    if (!is<running>()) return;
    const auto why = "liveness failed: " + e.why;
    if (unit_.restart.policy == model::restart_when::never) return stop(after_stop::fail, why, false);
    back_off_or_fail(why, true);
  }

  // A restart in order, whatever the policy: the key asks for it.
  void on(const memory_exceeded& e) {
    if (!is<running>()) return;
    back_off_or_fail(e.why, true);
  }

  void on(const timer_fired& e) {
    switch (e.which) {
      case timer::backoff:
        if (const auto* s = in<backoff>()) {
          ++m_.restarts;
          begin(std::string(s->why));
        }
        return;
      case timer::prepare_again:
        if (is<waiting>() && f_.requirements_met) prepare_start();
        return;
      case timer::recover_again:
        if (const auto* s = in<failed>(); s && !s->recover_why.empty() && m_.desired == desired::up) {
          const auto why = s->recover_why;
          return f_.recovery_parked ? begin(why) : recover(why);
        }
        return;
      case timer::start_timeout:
        if (auto* s = in<starting>(); s && s->at == starting::step::probing) {
          const auto why = "not started within " + base::format_duration(unit_.run.start_timeout);
          act(emit{"start_failed", why});
          if (unit_.restart.policy == model::restart_when::never)
            stop(after_stop::fail, why, false);
          else
            back_off_or_fail(why, true);
        }
        return;
      case timer::stop_timeout:
        return on_stop_timeout();
    }
  }

  void on(const recovery_ended& e) {
    if (!is<recovering>() && !is<asking>()) return;
    using outcome = recovery_ended::outcome;
    const bool ended = e.is == outcome::failed || e.is == outcome::stopped;
    const bool wanted = m_.desired == desired::up;
    if (ended && e.node_alive) return stop(wanted ? after_stop::fail : after_stop::stop, e.why, false);
    if (const auto* r = in<recovering>(); ended && wanted && r != nullptr && r->start_after) return begin(e.why);
    if (ended && wanted && e.as_before && returns()) {
      act(emit{"recovery_failed", e.why + "; starting on the state as it was"});
      return begin(e.why);
    }
    switch (e.is) {
      case outcome::recovered:
        ++m_.recoveries;
        forgive();
        m_.now = starting{starting::step::probing};
        run(e.why);
        m_.startup_passed = true;
        if (!wanted) return stop(after_stop::stop, "stopped by hand", false);
        if (m_.health != health::healthy) set_health(health::healthy, e.why);
        return;
      case outcome::failed:
        return e.try_later && wanted ? fail_for_now(e.why) : fail(e.why);
      case outcome::stopped:
        if (!wanted) return rest(stopped{}, "stopped", e.why);
        // Cancelled, but not stopped: what is broken is not tried again behind the person's back.
        return fail(
            fmt::format("{}; `hasup recover {}` or `hasup start {}` goes on", e.why, unit_.id.unit, unit_.id.unit));
      case outcome::asking:
        return enter(asking{}, "asking", e.why);
    }
  }

 private:
  template <class S>
  [[nodiscard]] bool is() const {
    return std::holds_alternative<S>(m_.now);
  }
  template <class S>
  S* in() {
    return std::get_if<S>(&m_.now);
  }
  [[nodiscard]] bool preparing() const {
    const auto* s = std::get_if<starting>(&m_.now);
    return s != nullptr && s->at == starting::step::preparing;
  }
  [[nodiscard]] bool has_process() const { return is<running>() || (is<starting>() && !preparing()); }

  void act(action a) { out_.push_back(std::move(a)); }

  void enter(state s, std::string kind, std::string why) {
    m_.now = std::move(s);
    m_.reason = why;
    act(emit{std::move(kind), std::move(why)});
  }

  // A state in which nothing runs and nothing is timed.
  void rest(state s, std::string kind, std::string why) {
    act(cancel_timers{});
    m_.health = health::unknown;
    m_.healthy_since.reset();
    enter(std::move(s), std::move(kind), std::move(why));
  }
  void fail(std::string why) { rest(failed{}, "failed", std::move(why)); }

  // Sources come back and backups are made: not for good.
  void fail_for_now(const std::string& why) {
    const auto delay = std::min(recover_again_first * (1U << std::min(m_.recovery_tries, 4U)), recover_again_last);
    ++m_.recovery_tries;
    const auto* s = in<recovering>();
    rest(failed{s != nullptr && !s->why.empty() ? s->why : why}, "failed",
         fmt::format("{}; the recovery is tried again in {}", why, base::format_duration(delay)));
    act(start_timer{timer::recover_again, delay});
  }

  bool returns() {
    const auto* s = in<recovering>();
    return s != nullptr && s->returns;
  }

  void forgive() {
    m_.starts.clear();
    m_.failed_starts = 0;
    m_.recovery_tries = 0;
    m_.backoff_step = 0;
  }

  void begin(const std::string& why) {
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

  void wait() {
    rest(waiting{}, "waiting", f_.waiting_for.empty() ? "waiting for its requirements" : f_.waiting_for);
  }

  void prepare_start() {
    if (start_limit_hit(unit_.restart, m_.starts, f_.now))
      return fail(fmt::format("start limit: {} starts within {}; last: {}; `hasup start {}` tries again",
                              unit_.restart.start_limit_count,
                              base::format_duration(unit_.restart.start_limit_within), m_.reason, unit_.id.unit));
    m_.now = starting{};
    m_.startup_passed = false;
    m_.health = health::unknown;
    m_.healthy_since.reset();
    act(prepare{});
  }

  void probe_or_run(starting& s) {
    s.at = starting::step::probing;
    if (unit_.startup)
      act(start_startup_probe{});
    else
      run("");
  }

  void run(const std::string& why) {
    act(cancel_timers{});
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

  void set_health(health h, const std::string& why) {
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

  // Ends a living process in order; the tree's end brings `then`.
  void stop(after_stop then, const std::string& why, bool no_kill, base::duration delay = {}) {
    stopping s;
    s.then = then;
    s.no_kill = no_kill;
    s.why = why;
    s.delay = delay;
    act(cancel_timers{});
    act(stop_probes{});
    m_.health = health::unknown;
    enter(s, "stopping", why);
    act(send_stop{});
    act(start_timer{timer::stop_timeout, unit_.run.stop_timeout});
  }

  void on_stop_timeout() {
    auto* s = in<stopping>();
    if (s == nullptr) return;
    if (s->main_gone && !s->term_sent) {
      s->term_sent = true;
      act(emit{"strays_found", "processes are left after the main process ended; asking them to end"});
      act(term_tree{});
      return act(start_timer{timer::stop_timeout, unit_.run.stop_timeout});
    }
    if (s->no_kill) {
      act(emit{"still_stopping", "does not end within stop_timeout; not killed, as asked"});
      return act(start_timer{timer::stop_timeout, unit_.run.stop_timeout});
    }
    m_.killed = s->killed = true;
    act(emit{"killed",
             fmt::format("SIGKILL after {} without an end", base::format_duration(unit_.run.stop_timeout))});
    act(kill_tree{});
    act(start_timer{timer::stop_timeout, stray_grace});
  }

  // The tree is empty: what was decided happens.
  void settle() {
    const auto s = std::get<stopping>(m_.now);
    act(cancel_timers{});
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
             fmt::format("{}; next start in {}", s.why, base::format_duration(s.delay)));
        return act(start_timer{timer::backoff, s.delay});
      case after_stop::recover:
        return recover(s.why, s.returns);
      case after_stop::fail:
        return fail(s.why);
      case after_stop::complete:
        return rest(completed{}, "completed", s.why);
    }
  }

  void recover(const std::string& why, bool returns = false) {
    m_.startup_passed = false;
    rest(recovering{why, returns}, "recovering", why);
    act(begin_recovery{why});
  }

  void remember_exit(const model::exit_status& status, const classification& c) {
    const bool lost = status.lost() && c.action == exit_action::unexplained;
    m_.exit = last_exit{status, lost ? "lost" : c.name, c.evidence, c.advice, f_.now};
  }

  [[nodiscard]] static std::string describe_exit(const model::exit_status& status, const classification& c) {
    auto text = "exited with " + to_text(status);
    if (c.action != exit_action::unexplained) text += ": " + c.name;
    return text;
  }

  // A node that was healthy for long enough has earned a quick restart.
  void forgive_after_steady_time() {
    if (m_.healthy_since && f_.now - *m_.healthy_since >= backoff_reset_after) m_.backoff_step = 0;
  }

  // Waits before the next start, or gives up. `alive`: the process has yet to be stopped.
  void back_off_or_fail(const std::string& why, bool alive) {
    forgive_after_steady_time();
    const auto delay = backoff_delay(unit_.restart, m_.backoff_step, f_.chance);
    ++m_.backoff_step;
    if (alive)
      stop(after_stop::back_off, why, false, delay);
    else
      become_stopping(after_stop::back_off, why, delay);
  }

  // The main process is gone already.
  void become_stopping(after_stop then, std::string why, base::duration delay = {}) {
    act(cancel_timers{});
    act(stop_probes{});
    m_.health = health::unknown;
    stopping s;
    s.then = then;
    s.main_gone = true;
    s.why = std::move(why);
    s.delay = delay;
    m_.now = s;
    m_.reason = std::get<stopping>(m_.now).why;
  }

  void decide_after_exit(const model::exit_status& status, const classification& c, const std::string& text) {
    const bool failed_start = !m_.startup_passed;
    const auto& codes = unit_.restart.success_codes;
    const bool success =
        !failed_start && status.code && std::find(codes.begin(), codes.end(), *status.code) != codes.end();
    if (m_.desired == desired::down) return become_stopping(after_stop::stop, text);
    if (c.action == exit_action::hold) {
      return become_stopping(after_stop::fail, text + (c.advice.empty() ? "" : "; " + c.advice));
    }
    if (c.action == exit_action::recover && unit_.has_recovery())
      return become_stopping(after_stop::recover, text + "; recovering");
    if (failed_start && c.action == exit_action::unexplained) {
      ++m_.failed_starts;
      const unsigned trigger = f_.recipe != nullptr ? f_.recipe->failed_starts : 0;
      if (unit_.has_recovery() && trigger > 0 && m_.failed_starts >= trigger) {
        return become_stopping(after_stop::recover,
                               fmt::format("{}; {} failed starts in a row; recovering", text, m_.failed_starts));
      }
    }
    if (success && unit_.restart.policy != model::restart_when::always)
      return become_stopping(after_stop::complete, text);
    if (unit_.restart.policy == model::restart_when::never) return become_stopping(after_stop::fail, text);
    back_off_or_fail(failed_start ? "failed start: " + text : text, false);
  }

  memory& m_;
  const facts& f_;
  const model::unit& unit_;
  actions& out_;
};

}  // namespace

void next(memory& m, const event& e, const facts& f, actions& out) {
  step s(m, f, out);
  std::visit([&](const auto& what) { s.on(what); }, e);
}

}  // namespace hasup::unit
