// What the recovery machine wants done, strictly in this order: after `write` and `clear_journal` nothing happens
// until they are durable.
#pragma once

#include <string>
#include <variant>
#include <vector>

#include "base/enum_names.hpp"
#include "recovery/record.hpp"

namespace hasup::recovery {

// The same as daemon::recovery_outcome, which says what each means for the unit.
enum class outcome { recovered, rolled_back, refused, unavailable, cancelled, parked, asking, stuck, emptied };
inline constexpr base::enum_names<outcome, 9> outcome_names{{{{outcome::recovered, "recovered"},
                                                              {outcome::rolled_back, "rolled_back"},
                                                              {outcome::refused, "refused"},
                                                              {outcome::unavailable, "unavailable"},
                                                              {outcome::cancelled, "cancelled"},
                                                              {outcome::parked, "parked"},
                                                              {outcome::asking, "asking"},
                                                              {outcome::stuck, "stuck"},
                                                              {outcome::emptied, "emptied"}}}};

struct write {
  record what;
};
struct clear_journal {};
struct run_worker {
  ports::worker_job job;
};
// What fetches or unpacks `of` and was begun by an earlier hasupd, whether it still runs or ended unseen. Ends in
// taken_up.
struct take_up_worker {
  ports::candidate of;
};
struct cancel_worker {};
// The node is stopped if it runs; with `readers` every unit with shared_with on it too, and kept from starting.
struct quiesce {
  bool readers = true;
};
struct release_readers {};
struct start_node {
  std::vector<std::string> append;
  std::vector<std::string> instead{};  // of the unit's command: an import, which is not probed. Empty = the node
};
struct stop_node {};
struct start_timer {
  base::duration after;
};
struct cancel_timer {};
// One line of the event log and the unit's reason.
struct report {
  std::string kind;  // recovery_…
  std::string why;
};
// Begin recoveries of these units that follow this one with archives of backup `set`.
struct call_group {
  std::vector<std::string> members;
  std::string set;
};
struct finish {
  outcome how;
  std::string why;
  std::vector<std::string>
      useless{};  // archives of the cache that nothing will be recovered from, see candidates.hpp
};

using action = std::variant<write, clear_journal, run_worker, take_up_worker, cancel_worker, quiesce, release_readers,
                            start_node, stop_node, start_timer, cancel_timer, report, call_group, finish>;
using actions = std::vector<action>;

}  // namespace hasup::recovery
