// Reads an archive to its end as unpacking would, and writes nothing.
#pragma once

#include "ports/worker_job.hpp"
#include "snapshot/job_control.hpp"

namespace hasup::snapshot {

// job.file: an archive, or one file, compressed or not, as its name and its contents say. What unpacking would refuse
// is `bad_snapshot` in the same words; so is data that is cut off or damaged.
ports::worker_result examine(const ports::worker_job& job, job_control& control);

}  // namespace hasup::snapshot
