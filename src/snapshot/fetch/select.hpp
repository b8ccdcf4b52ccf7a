// Which snapshots there are: lists every source and orders what fits the plans.
#pragma once

#include "ports/worker_job.hpp"
#include "snapshot/fetch/remote_client.hpp"
#include "snapshot/job_control.hpp"
#include "snapshot/listing.hpp"

namespace hasup::snapshot {

// A source that is down is a note; when all are, the job fails as `unreachable` with every reason. Nothing that
// matches is no failure: no candidates, and notes that say so.
ports::worker_result select(const ports::worker_job& job, job_control& control, patience p = patience{});

}  // namespace hasup::snapshot
