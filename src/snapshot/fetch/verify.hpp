// Checks a file of this machine against what its host says of it; writes nothing.
#pragma once

#include "ports/worker_job.hpp"
#include "snapshot/fetch/remote_client.hpp"
#include "snapshot/job_control.hpp"

namespace hasup::snapshot {

// job.file against the one snapshot of job.chosen: its checksum and, with a public key, its signature. One without
// either is not `verified`, which is no failure unless job.checksum requires it. A file that does not fit is
// `bad_snapshot`.
ports::worker_result verify(const ports::worker_job& job, job_control& control, patience p = patience{});

}  // namespace hasup::snapshot
