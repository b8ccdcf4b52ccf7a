// How much room there is beside a data directory, and what of it hasup has taken already: asked before a recovery
// fetches anything. Changes nothing, and takes no lock: another job may be at work there.
#pragma once

#include "ports/worker_job.hpp"
#include "snapshot/job_control.hpp"
#include "snapshot/outcome.hpp"

namespace hasup::snapshot {

// What `path` below root takes on the disk, on the root's file system, each file once however many names it has.
outcome<std::uint64_t> bytes_on_disk(int root, const std::string& path, const job_control& control);

// How many files, directories and links there are in all of these below root, themselves included, on its file
// system; nothing when that cannot be seen.
std::optional<std::uint64_t> entries_of(int root, const std::vector<std::string>& paths, const job_control& control);

// job.data_dir, which need not exist, with job.plans and job.keep.
ports::worker_result measure(const ports::worker_job& job, const job_control& control);

}  // namespace hasup::snapshot
