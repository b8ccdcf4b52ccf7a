// Earlier recoveries of a unit, one line each, from its events. Pure.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "cli/terminal.hpp"
#include "control/event.hpp"

namespace hasup::cli {

struct past_recovery {
  base::wall_time began;
  std::optional<base::wall_time> ended;  // nothing: it goes on
  std::string unit;                      // as displayed by the event: "leap", "miner@1"
  std::string why;                       // "exited with code 2: dirty database"
  std::string snapshot;                  // that was put in place; "" = none was
  unsigned refused = 0;                  // snapshots that did not fit
  std::string result;                    // of result_names; "" = it goes on
  std::string state;                     // of the unit after it
  std::string outcome;                   // for a person
  bool beside = false;                   // prepared while the unit was running
};

// In the order in which they began. Events from the middle of a recovery whose beginning is not there are left out.
// `several`: the unit has several instances, so that the first of them has its number too.
std::vector<past_recovery> past_recoveries(const std::vector<control::event>& events, bool several = false);

// recovered, rolled_back, cancelled, failed (nothing was replaced), parked (stopped half way), stuck, emptied (failed
// in place: the old state is deleted).

// "2026-11-21T07:32:01Z  recovered in 1.7s from snapshot-0000000800.bin, 1 refused; exited with code 2: dirty
// database"
std::string render_history(const std::vector<past_recovery>& all, const terminal& t);
std::string history_json(const std::vector<past_recovery>& all);

}  // namespace hasup::cli
