// Brings a candidate's archives into the cache, whole and verified.
#pragma once

#include "ports/worker_job.hpp"
#include "snapshot/ahead_link.hpp"
#include "snapshot/fetch/download.hpp"
#include "snapshot/fetch/remote_client.hpp"
#include "snapshot/job_control.hpp"

namespace hasup::snapshot {

// Resumes what an earlier attempt left, starts over when the file on the host has changed, and never replaces a whole
// archive by a part of one. A wrong checksum deletes what was fetched and blames the snapshot, but only when all of
// it came in this job and from one host: otherwise it is fetched once more from its start first, in one stream.
//
// `ahead`: who unpacks what comes meanwhile. When all is fetched, the end of that is waited for; how it ends changes
// nothing, and when there is no room for both, the download has it.
ports::worker_result fetch(const ports::worker_job& job, job_control& control, patience p = patience{},
                           const download_options& options = download_options{}, ahead_link ahead = ahead_link{});

}  // namespace hasup::snapshot
