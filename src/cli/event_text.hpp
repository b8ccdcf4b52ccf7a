// One event as a line for a person.
#pragma once

#include <set>
#include <string>

#include "cli/terminal.hpp"
#include "control/event.hpp"

namespace hasup::cli {

// What lines below each other share. Widths only grow, so that a follower may take events in one by one.
struct event_layout {
  std::set<std::string> several;  // units with several instances: their first one is "miner@0"
  std::size_t name_width = 12;
  std::size_t kind_width = 16;

  void fit(const control::event& e);
};

// "2026-11-21T01:02:03.123Z  miner@1  became_healthy  readiness passed"
std::string render_event(const control::event& e, const terminal& t, const event_layout& l);

}  // namespace hasup::cli
