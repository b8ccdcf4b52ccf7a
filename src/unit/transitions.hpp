// How a state of a unit instance is entered and left: the moves that the events of machine.cpp are made of.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>

#include "unit/action.hpp"
#include "unit/machine.hpp"
#include "unit/state.hpp"

namespace hasup::unit {

inline constexpr base::duration stray_grace{5'000};  // what a dead main process leaves behind gets this long to end
inline constexpr base::duration prepare_again_after{5'000};
inline constexpr base::duration look_again_first{1'000};  // doubled each time
inline constexpr base::duration look_again_last{60'000};
// An adopted node whose start_timeout passed while nobody watched: so long its startup probe is asked all the same.
inline constexpr base::duration adopted_grace{10'000};
inline constexpr base::duration recover_again_first{60'000};  // doubled each time
inline constexpr base::duration recover_again_last{600'000};

// "1 restart", "2 restarts"
std::string times(unsigned n, const std::string& what);

class transitions {
 protected:
  transitions(memory& m, const facts& f, actions& out) : m_(m), f_(f), unit_(*f.unit), out_(out) {}

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
  [[nodiscard]] bool has_given_up_on_data() const {
    const auto* s = std::get_if<waiting>(&m_.now);
    return s != nullptr && s->given_up;
  }
  [[nodiscard]] bool has_process() const { return is<running>() || (is<starting>() && !preparing()); }
  void act(action a) { out_.push_back(std::move(a)); }
  void enter(state s, std::string kind, std::string why);
  // A state in which nothing runs and nothing is timed.
  void rest(state s, std::string kind, std::string why);
  void fail(std::string why) { rest(failed{}, "failed", std::move(why)); }
  // In maintenance nobody but a person begins a recovery; the end of it does.
  void hold_recovery(const std::string& why);
  // Sources come back and backups are made: not for good.
  void fail_for_now(const std::string& why);
  bool returns() {
    const auto* s = in<recovering>();
    return s != nullptr && s->returns;
  }
  void forgive();
  void forget_stuck_head();
  [[nodiscard]] bool counts_stuck_restarts() const;
  // The node runs and answers, but its head stands still: a restart, or, when restarts were in vain, others advance
  // and nothing else explains it, a recovery, which is prepared while it runs.
  void on_stuck_head(std::uint64_t at, const std::string& holds, const std::string& why);
  void restart_for_head(const std::string& why);
  // Told, and restarted as before; `but` says what a recovery lacks.
  void leave_state(const std::string& but);
  void begin(const std::string& why);
  void wait();
  void prepare_start();
  // It was no start, and another one is tried by itself.
  void prepare_again(const std::string& why, base::duration after);
  void probe_or_run(starting& s);
  // A stop that another daemon had begun.
  void go_on_stopping(const stopping& s);
  void run(const std::string& why);
  // In maintenance: what is told once, and then waits for its end.
  void hold_back(std::string& held, const std::string& why);
  // What would restart it is told and does not, where it could not be started again (facts.journal_damaged). False:
  // it could be.
  bool leave_running(const std::string& why);
  void set_health(model::health h, const std::string& why);
  // Ends a living process in order; the tree's end brings `then`.
  void stop(after_stop then, const std::string& why, bool no_kill, base::duration delay = {});
  // For a stop that can wait: what may get requests is announced as draining first.
  void drain_and_stop(after_stop then, const std::string& why, bool no_kill);
  void drain(after_stop then, const std::string& why, bool no_kill);
  void end_drain();
  // stop_command did not do it: the signal, and all the time that is its due.
  void stop_by_signal(const std::string& why);
  // The look at its data and directories comes to its end: then it is stopped.
  void stop_preparing(const std::string& why);
  void on_start_timeout();
  void on_stop_timeout();
  // The tree is empty: what was decided happens.
  void settle();
  void recover(const std::string& why, bool returns = false);
  // An exit is in last_exit, and a person knows what was asked for; what a look at the data found is nowhere else.
  std::string with_what_began_it(const std::string& why) const;
  // Not asked for by a person.
  void recover_by_itself(const std::string& why) { f_.maintenance ? hold_recovery(why) : recover(why); }
  [[nodiscard]] classification as_the_unit_means(const model::exit_status& status, classification c) const;
  void remember_exit(const model::exit_status& status, const classification& c);
  // A node that was healthy for long enough has earned a quick restart.
  void forgive_after_steady_time();
  // Waits before the next start, or gives up. `alive`: the process has yet to be stopped.
  void back_off_or_fail(const std::string& why, bool alive);
  // The main process is gone already.
  void become_stopping(after_stop then, std::string why, base::duration delay = {});
  void decide_after_exit(const model::exit_status& status, const classification& c, const std::string& text);

  memory& m_;
  const facts& f_;
  const model::unit& unit_;
  actions& out_;
};

}  // namespace hasup::unit
