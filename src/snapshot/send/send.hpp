// Sends the archive that another program packs to an SFTP host or an S3 store.
#pragma once

#include "snapshot/fetch/remote_client.hpp"
#include "snapshot/job_control.hpp"
#include "snapshot/sandbox.hpp"

namespace hasup::snapshot {

// `packed`: the stream of pack_stream.hpp. The result is that of the packer once the archive is published; else
// nothing has its name.
ports::worker_result send(const ports::worker_job& job, job_control& control, int packed, patience p = patience{});

// Reads the keys and certificates that the target names or that are at their default places below `home`.
bounds send_bounds(const ports::worker_job& job, const std::string& home);

}  // namespace hasup::snapshot
