// One event as a line for a person.
#pragma once

#include <string>

#include "cli/terminal.hpp"
#include "control/event.hpp"

namespace hasup::cli {

// "2026-11-21T01:02:03.123Z  miner@1  became_healthy  readiness passed"
std::string render_event(const control::event& e, const terminal& t, std::size_t name_width = 12);

}  // namespace hasup::cli
