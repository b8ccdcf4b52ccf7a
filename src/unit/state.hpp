// The state of one unit instance: one variant, so that what must not be cannot be built.
//
//            start_wanted                     requirements met             prepared, spawned
//   stopped ─────────────> waiting ─────────────────────────> starting ───────────────────> (startup passed) running
//      ^                                                          │ exits                        │ exits, liveness
//      │ stop_wanted: from every state                            v                              v
//   stopping{then} <────────────────────────────────────── stopping{then} <──────────────────────┘
//      then = stop → stopped · start → waiting/starting · back_off → backoff → starting · recover → recovering
//             fail → failed · complete → completed · hold → failed, until maintenance ends → recovering
//   recovering → running | failed | stopped | asking → recovering
//
// A recovery that a person asks for, or that a head which stands still leads to, is prepared while the unit is
// running (facts.recovery_beside); the unit comes to recovering by way of stopping{recover} when all is staged, or
// earlier when its node ends for any other reason. The latter is called off when the head advances, or when the node
// ends in a way that wants a person.
//
// Every exit passes through stopping until the whole process tree is gone: the next start never meets a leftover.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <variant>

#include "base/duration.hpp"
#include "base/enum_names.hpp"
#include "model/exit_status.hpp"
#include "model/state.hpp"

namespace hasup::unit {

// What comes once the process tree is empty.
enum class after_stop { stop, start, back_off, recover, fail, complete, hold };

inline constexpr base::enum_names<after_stop, 7> after_stop_names{{{{after_stop::stop, "stop"},
                                                                    {after_stop::start, "start"},
                                                                    {after_stop::back_off, "back_off"},
                                                                    {after_stop::recover, "recover"},
                                                                    {after_stop::fail, "fail"},
                                                                    {after_stop::complete, "complete"},
                                                                    {after_stop::hold, "hold"}}}};

struct stopped {};
struct waiting {          // for what its requirements lack; the supervisor knows which
  bool given_up = false;  // or it came to its start limit on data that is about to be replaced: for that
};
struct starting {
  enum class step { preparing, spawning, probing };
  step at = step::preparing;
};
struct running {};
struct completed {};
struct backoff {
  base::duration delay;
  std::string why;  // what made the next start necessary
};
struct stopping {
  after_stop then = after_stop::stop;
  bool draining = false;  // load balancers are told first; the node runs as before, and was not asked for anything
  bool main_gone = false;
  bool no_kill = false;     // a person said: never SIGKILL
  bool term_sent = false;   // to what is left of the tree
  bool by_command = false;  // stop_command was to stop it; the signal has not been sent yet
  bool returns = false;     // for recover, see recovering
  bool prepared = false;    // for recover: what it is stopped for was prepared beside it, and may be called off yet
  base::duration delay{0};  // for back_off
  bool killed = false;      // with SIGKILL, by hasup
  std::string why;          // the reason shown when `then` is reached
};
struct recovering {
  std::string why;
  bool returns = false;      // a person asked for it while the node ran: with the data as before, the node runs again
  bool ending = false;       // a person stopped the unit
  bool start_after = false;  // and started it again since
};
struct failed {
  std::string recover_why;  // the recovery is tried (again) by itself; "" = for good
  bool held = false;        // but not before maintenance ends
};
struct asking {};

using state =
    std::variant<stopped, waiting, starting, running, completed, backoff, stopping, recovering, failed, asking>;

model::unit_state name_of(const state& s);

struct last_exit {
  model::exit_status status;
  std::string class_name;
  std::string evidence;  // the log line that decided, "" = none
  std::string advice;
  base::wall_time at;
  bool recovers = false;  // its class asks for a recovery
  std::string grounds{};  // what else decided, see classification
};

// What would stop or restart the current run, but for maintenance: why, "" = nothing. Its end lets it happen.
struct held_back {
  std::string parent_lost;
  std::string start_timeout;
  std::string requirement_lost;  // told of once; whether it is lost still is asked when maintenance ends
  bool memory_told = false;      // that it takes too much, and is left running for its damaged journal
};

// Everything the machine remembers of an instance. Survives in the intent file but for `now` and `health`.
struct memory {
  state now = stopped{};
  model::desired desired = model::desired::down;
  model::health health = model::health::unknown;
  std::string reason = "not started yet";
  std::deque<base::wall_time> starts;  // of the start limit, oldest first
  unsigned backoff_step = 0;
  unsigned failed_starts = 0;             // unexplained, in a row
  unsigned stuck_restarts = 0;            // for a head that has stood still at stuck_at since
  std::optional<std::uint64_t> stuck_at;  // the highest head that it had when it stood still
  unsigned recovery_tries = 0;            // in a row, for want of a snapshot
  unsigned looks_in_vain = 0;             // in a row, at what a start needs
  unsigned restarts = 0;                  // without a person asking for it
  unsigned recoveries = 0;
  bool startup_passed = false;  // of the current run
  held_back held;
  std::optional<base::wall_time> healthy_since;
  bool killed = false;  // SIGKILLed by hasup; until the next clean stop
  std::optional<last_exit> exit;
};

}  // namespace hasup::unit
