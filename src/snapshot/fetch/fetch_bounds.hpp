// What listing and fetching snapshots may touch. See sandbox.hpp.
#pragma once

#include "snapshot/sandbox.hpp"

namespace hasup::snapshot {

// Writes .hasup of the data directory (which must be there, unless the job only selects) and the directories of the
// answer, reads those, the directories of local sources, and the keys and certificates that the sources name or that
// are at their default places below `home`. Nothing else of the node, whatever a host answers.
bounds fetch_bounds(const ports::worker_job& job, const std::string& home);

}  // namespace hasup::snapshot
