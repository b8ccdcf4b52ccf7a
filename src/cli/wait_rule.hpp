// When has a unit come to where a person wants it, and when will it never? Pure.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "control/status.hpp"

namespace hasup::cli {

enum class goal {
  started,      // start: healthy or completed
  stopped,      // stop
  restarted,    // restart: healthy, in another process than before
  recovered,    // recover: healthy again, after something happened
  rolled_back,  // recover --rollback: the recovery is over and its old state in place
  healthy,      // wait --for …
  running,
  at_rest,
  completed,
  settled,  // scale: healthy, or gone
};

// What is known about an instance while it is waited for.
struct sighting {
  control::instance_status before;  // when the command was given
  control::instance_status now;
  bool moved = false;       // an event of it came since
  bool grace_over = false;  // long enough after the command that the old state is no longer a leftover
};

enum class standing { pending, reached, lost };

// A failure that hasupd ends by itself (it has a next attempt) is pending.
standing judge(goal g, const sighting& s);

// Can an instance that waits never be started, because what it waits for has failed for good or asks for a person?
// "waits for leap, which has failed: REASON; `hasup why leap`", through units that wait themselves; "" = it can.
// `settled` says of an instance whether what is seen of it is no leftover from before the command.
std::string blocked_by(const control::instance_status& who, const std::vector<control::instance_status>& all,
                       const std::function<bool(const control::instance_status&)>& settled);

// A failed instance that is tried again: "next attempt at 2026-11-21T01:02:03Z"; "" for any other.
std::string retry_text(const control::instance_status& u);

// `hasup wait`, which changes nothing: what is seen is the truth from the beginning.
bool only_looks(goal g);

// Is what is seen the outcome of the command, and not what was there before it?
bool is_fresh(const sighting& s);

// "healthy", "stopped" …: what it is now called when it is reached.
std::string goal_text(goal g);
// The same, once it is reached by `all` instances: a one-shot unit that has come to its end is not called healthy.
std::string reached_text(goal g, std::size_t completed, std::size_t all);

}  // namespace hasup::cli
