// What listing and fetching snapshots may touch. See sandbox.hpp.
#pragma once

#include "snapshot/sandbox.hpp"

namespace hasup::snapshot {

// Of .hasup in the data directory (made ready by data_tree::make_places, unless the job only selects) it writes
// cache/, and warm/ in a prefetch, and removes in staging/ what was unpacked from an earlier fetch; it writes the
// directories of the answer, reads those, and the keys and certificates that the sources name or that are at their
// default places below `home`, and the seeds: those of the job, and the files of the node that its plan has at hand,
// never one of `keep`. Nothing else of the node, whatever a host answers. Directories of this machine that are
// sources are read by others (local_reader.hpp): a mount that hangs is not even opened here.
bounds fetch_bounds(const ports::worker_job& job, const std::string& home);

}  // namespace hasup::snapshot
