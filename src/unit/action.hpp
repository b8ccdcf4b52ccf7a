// What the unit machine wants done, in the order in which it must be done. The unit runner carries it out.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/duration.hpp"
#include "unit/event.hpp"

namespace hasup::unit {

struct prepare {};         // account, environment, one-writer check, must_exist; answered by `prepared`
struct cancel_prepare {};  // an answer on its way is dropped; a unit that stops hears tree_emptied once it has ended
struct spawn {};           // answered by `spawned` or `spawn_failed`
struct send_stop {};       // stop_signal or stop_command
struct send_signal {};     // stop_signal after all: stop_command is ended
struct term_tree {};       // SIGTERM to what is left of the tree
struct kill_tree {};       // SIGKILL to all of it; an alert
struct start_timer {
  timer which;
  base::duration after;
};
struct cancel_timers {};
struct start_startup_probe {};
struct start_steady_probes {};  // readiness and liveness
struct stop_probes {};
struct begin_recovery {  // or, when one is prepared beside the node, that one has the node now
  std::string why;
};
struct prepare_recovery {  // beside the node, which runs on; it comes to recover_wanted or preparation_failed
  std::string why;
  std::uint64_t newer_than = 0;  // only by a snapshot that is said to be beyond this block
};
struct resume_recovery {};  // a parked one, from its journal
struct stop_recovery {
  bool force = false;        // not even held until the first new block after a restore
  bool no_kill = false;      // never SIGKILL
  std::string called_off{};  // why, when no person wants it
};
struct approve_recovery {};
struct leave_endpoint {  // that the run used: this unit takes another one
  std::string upstream;  // whose; "" = all
  std::string why;
};
// One line of the event log.
struct emit {
  std::string kind;
  std::string why;
};

using action = std::variant<prepare, cancel_prepare, spawn, send_stop, send_signal, term_tree, kill_tree, start_timer,
                            cancel_timers, start_startup_probe, start_steady_probes, stop_probes, begin_recovery,
                            prepare_recovery, resume_recovery, stop_recovery, approve_recovery, leave_endpoint, emit>;
using actions = std::vector<action>;

}  // namespace hasup::unit
