// The cgroup leaf of a unit and its limits, as part of the way to a start.
#pragma once

#include "daemon/launch.hpp"
#include "process/cgroup.hpp"

namespace hasup::daemon {

// Disk thread. Makes the leaf and sets its limits; what cannot be had is said in out.limits_missing, and the node
// starts all the same. `tree` may be null.
void prepare_limits(launch& out, const model::unit& unit, const process::cgroup_tree* tree);

}  // namespace hasup::daemon
