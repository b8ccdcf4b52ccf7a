// Waits for instances with the daemon's events, and shows how they get on: one updating line per instance on a
// terminal, plain lines otherwise.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "cli/context.hpp"
#include "cli/wait_rule.hpp"
#include "model/unit_name.hpp"

namespace hasup::cli {

struct waiting_for {
  goal want = goal::started;
  std::vector<model::instance_id> instances;
  std::vector<control::instance_status> before;  // of all instances, when the command was given
  std::optional<base::duration> timeout;
};

// `events` was opened before the command was given. Ctrl-C ends the waiting only. Returns done when all have reached
// the goal, failed when one is lost or the time is over, daemon_unreachable when hasupd went away for good.
exit_code wait_until(const context& c, control::event_stream events, const waiting_for& w);

}  // namespace hasup::cli
