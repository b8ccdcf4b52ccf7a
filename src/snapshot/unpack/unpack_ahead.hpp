// Unpacks the archives of a fetch job while they come, or those of a prefetch before they are needed.
#pragma once

#include "snapshot/ahead_link.hpp"
#include "snapshot/data_tree.hpp"

namespace hasup::snapshot {

// Into staging/ahead, exactly as the unpack job does into staging; when all archives are verified and what came out
// of them is on the disk, staging/ahead.json says so, and the unpack job has only to move it. An archive that begins
// anew is unpacked anew. Whatever else goes wrong is no failure of anything: what was made is removed, for the
// download to have the room, and the unpack job finds out and says why. Of the free space it uses what the download
// leaves.
void unpack_ahead(const ports::worker_job& job, const ahead_link& link, const data_tree& tree);

// The same out of the cache, with nobody beside it: for a recovery to come. After a failure nothing is left of it.
ports::worker_result unpack_for_later(const ports::worker_job& job, job_control& control);

}  // namespace hasup::snapshot
