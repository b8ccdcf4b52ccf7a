// Fills the staging directory from the cache.
#pragma once

#include "ports/worker_job.hpp"
#include "snapshot/job_control.hpp"

namespace hasup::snapshot {

// Begins with an empty staging directory and ends with staging/staged.json, after all is on disk. For an archive with
// `into`, only what the plan may wipe is staged; the rest is left out, with a note. With unpack = "decompress" or
// "none", `into = "NAME"` makes the file NAME.
ports::worker_result unpack(const ports::worker_job& job, job_control& control);

}  // namespace hasup::snapshot
