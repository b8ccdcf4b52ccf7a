// When has a unit come to where a person wants it, and when will it never? Pure.
#pragma once

#include <string>

#include "control/status.hpp"

namespace hasup::cli {

enum class goal {
  started,    // start: healthy or completed
  stopped,    // stop
  restarted,  // restart: healthy, in another process than before
  recovered,  // recover: healthy again, after something happened
  healthy,    // wait --for …
  running,
  at_rest,
  completed,
};

// What is known about an instance while it is waited for.
struct sighting {
  control::instance_status before;  // when the command was given
  control::instance_status now;
  bool moved = false;       // an event of it came since
  bool grace_over = false;  // long enough after the command that the old state is no longer a leftover
};

enum class standing { pending, reached, lost };

standing judge(goal g, const sighting& s);

// "healthy", "stopped" …: what it is now called when it is reached.
std::string goal_text(goal g);

}  // namespace hasup::cli
