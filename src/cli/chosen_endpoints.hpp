// Which endpoints of its upstreams a unit has now: the daemon chooses them, the files do not say.
#pragma once

#include "cli/context.hpp"
#include "model/unit.hpp"

namespace hasup::cli {

// The unit as it would be started now. Without a daemon, or before one is chosen, with the first endpoints of the
// files, which is said.
model::unit with_chosen_endpoints(const context& c, const model::unit& unit);

}  // namespace hasup::cli
