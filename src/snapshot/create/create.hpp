// Makes an archive of a directory, of what a plan replaces in a node's data, or of one file: compressed, hashed and,
// where a key is named, signed while it is read. Changes nothing of what it reads.
#pragma once

#include "snapshot/create/archive_target.hpp"
#include "snapshot/job_control.hpp"
#include "snapshot/sandbox.hpp"

namespace hasup::snapshot {

// Fails as `refused` when a node has the data, `internal` with the file's name when one changes while it is read.
ports::worker_result create(const ports::worker_job& job, job_control& control);
// The same, but hands the archive to who sends it, over `fd` (pack_stream.hpp). What is published is his to do.
int create_for_sender(const ports::worker_job& job, job_control& control, int fd);

// Reads the data, the key and its password; writes in the target's directory, where that is one of this machine.
bounds create_bounds(const ports::worker_job& job);

}  // namespace hasup::snapshot
