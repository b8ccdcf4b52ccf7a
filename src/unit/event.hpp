// What can happen to a unit instance. Past tense for facts, _wanted for what a person or another unit asks.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>

#include "model/exit_status.hpp"
#include "model/state.hpp"
#include "model/unit.hpp"
#include "unit/classify.hpp"
#include "unit/state.hpp"

namespace hasup::unit {

struct start_wanted {
  bool by_hand = true;  // clears the start limit and the failed starts
};
struct stop_wanted {
  bool no_kill = false;
  std::string why = "stopped by hand";
  bool force = false;  // also in the first start after a restore
  bool hurry = false;  // a person asks once more: it drains no longer
};
// A process that somebody else started is to become the unit's; answered by `adopted` or `spawn_failed`.
struct adopt_wanted {
  std::string why;
};
struct restart_wanted {
  std::string why = "restarted by hand";
};
struct recover_wanted {
  std::string why;
  bool stays_down = false;  // rolling back a parked one: a unit that was stopped is stopped afterwards
  bool prepared = false;    // all was prepared beside the node (facts.recovery_beside); void when that is over
};
struct approved {};
struct reset_wanted {};
struct requirements_changed {};  // facts.requirements_met tells
struct requirement_lost {
  model::on_loss loss;
  std::string why;
  bool closes_data = false;  // what it opens is being restored: not even maintenance lets it run on
};
// The answer to `prepare`: may it be spawned?
struct prepared {
  enum class verdict {
    ready,
    not_yet,         // e.g. its volume is not mounted: waits and asks again
    unseen,          // nobody could look, e.g. the worker was killed: the same, after a pause that grows
    refused,         // another writer, no such user, env file missing: failed
    needs_recovery,  // what must exist is missing: never start from nothing
  };
  verdict is = verdict::ready;
  std::string why;
};
struct spawned {
  int pid = 0;
};
// It never became a process; why names the program and the remedy.
struct spawn_failed {
  classification class_of;
  std::string why;
};
struct adopted {
  int pid = 0;
  base::duration age{0};                  // of the run
  std::optional<stopping> interrupted{};  // it was being stopped when its daemon ended
  unsigned uncounted = 0;                 // starts that its daemon did not live to save, the last one this run's
  unsigned restarts = 0;                  // of those, without a person
};
struct main_exited {
  model::exit_status status;
  classification class_of;
  bool told = false;  // that it exited is an event already
};
struct tree_emptied {};
struct stop_command_failed {
  std::string why;
};
struct startup_passed {};  // the startup probe, or without one the first answer to the readiness probe
struct health_changed {
  model::health health;
  std::string why;
};
struct liveness_failed {
  std::string why;
  std::optional<std::uint64_t> stands_at{};  // it answers well, but its head has not advanced from here
  std::string holds{};  // what the run's own output says that forbids a recovery, such as a full disk; "" = nothing
};
struct head_seen {
  std::uint64_t number = 0;
};
// What was prepared beside a node whose head stands still came to nothing.
struct preparation_failed {
  std::string why;
};
struct maintenance_ended {};
struct memory_exceeded {  // of run.limits.memory_restart
  std::string why;
};
struct space_low {  // less than data.min_free
  std::string why;
};
// The shim that started it died, and another one took it over: nobody will know how it ends.
struct parent_lost {
  std::string why;
};
enum class timer { backoff, start_timeout, stop_timeout, prepare_again, recover_again, drain };
struct timer_fired {
  timer which;
};
struct recovery_ended {
  enum class outcome { recovered, failed, stopped, asking };
  outcome is;
  std::string why;
  bool node_alive = false;  // it still runs: it must be stopped before the unit may rest
  bool try_later = false;   // failed only because nothing usable could be had now
  bool as_before = true;    // failed, stopped: the data is what it was before
  bool returns = false;  // it began while the node ran, though its head stood still: with the data as before, again
  bool serves = true;    // recovered: this run of the node has started; not when it was only just executed
  bool counted = false;  // recovered: memory::recoveries has it already
};

using event = std::variant<start_wanted, stop_wanted, adopt_wanted, restart_wanted, recover_wanted, approved,
                           reset_wanted, requirements_changed, requirement_lost, prepared, spawned, spawn_failed,
                           adopted, main_exited, tree_emptied, stop_command_failed, startup_passed, health_changed,
                           liveness_failed, head_seen, preparation_failed, memory_exceeded, space_low, parent_lost,
                           maintenance_ended, timer_fired, recovery_ended>;

}  // namespace hasup::unit
