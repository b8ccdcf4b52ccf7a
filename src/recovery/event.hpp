// What can happen to a recovery. Past tense for facts, _wanted for what a person asks.
#pragma once

#include <optional>
#include <set>
#include <string>
#include <variant>
#include <vector>

#include "model/exit_status.hpp"
#include "model/state.hpp"
#include "recovery/group.hpp"
#include "recovery/pace.hpp"
#include "recovery/progress.hpp"

namespace hasup::recovery {

// What outlives a recovery: kept by the daemon with the unit's intent.
struct memory {
  std::vector<std::string> bad;        // keys of candidates.hpp, oldest first, at most 200
  std::vector<base::wall_time> swaps;  // oldest first; those outside the budget's window are dropped
  paces measured{};
  bool forgiven =
      false;  // a person forgot bad and swaps since the recovery began: its journal does not bring them back

  friend bool operator==(const memory&, const memory&) = default;
};

// What the end of a run says about the snapshot it ran on. lost and kills are `environment`.
enum class exit_kind { recover, environment, hold, unexplained };

struct begin_wanted {
  frozen plan;
};
// From the journal, after a restart of the daemon or of a parked recovery.
struct resume_wanted {
  progress done;
  bool node_running = false;
  bool beside = false;  // and is not the recovery's yet: see options.beside
};
struct quiesced {};
struct worker_done {
  ports::worker_result result;
};
struct taken_up {
  std::optional<ports::worker_mode> what{};  // nothing: there was none, and `result` says nothing
  ports::worker_result result{};
};
// The start that was asked for goes on; so long it has waited: for what the unit requires, or for its disk.
struct start_waited {
  base::duration length{0};
};
struct node_started {};
struct node_exited {
  model::exit_status status;
  exit_kind kind = exit_kind::unexplained;
  std::string class_name;
  std::string evidence;
  std::string refused_line;  // the line that one of the plan's refused_by matched; "" = none
};
struct startup_passed {};
// Of a node that the recovery was prepared beside: it has ended, and what comes next is the recovery's.
struct node_given {};
struct head_seen {
  std::optional<std::uint64_t> number;  // also of a node that still is the unit's, after resume_wanted.beside
};
struct health_seen {
  model::health health = model::health::unknown;
};
// What is known of other nodes of the same chain, asked while the restored node's head stands still.
struct others_seen {
  bool advance = false;
  std::string text;  // for a person: the evidence, or what of it is missing
};
struct timer_fired {
  others_seen others{};
};
struct stop_wanted {
  bool force = false;  // do not wait for the first new block after a restore
};
struct approve_wanted {};
struct cancel_wanted {};
struct roll_back_wanted {};  // after the swap: a person wants the old state back
// The other members of the group, and of a follower its leader.
struct group_seen {
  std::vector<member_view> members;
};

using event = std::variant<begin_wanted, resume_wanted, quiesced, worker_done, taken_up, start_waited, node_started,
                           node_exited, node_given, startup_passed, head_seen, health_seen, timer_fired, stop_wanted,
                           approve_wanted, cancel_wanted, roll_back_wanted, group_seen>;

}  // namespace hasup::recovery
