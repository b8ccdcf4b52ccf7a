// Who has a data directory open, and what is in it: asked before a start, before a swap, before old state is deleted.
// Changes nothing, not even .hasup.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "ports/worker_job.hpp"
#include "snapshot/outcome.hpp"

namespace hasup::snapshot {

// The first process that could write: it holds a lock of job.locks, has a file below the directories open for
// writing, or maps one shared. By device and inode, so that bind mounts and other mount namespaces hide nothing. Not
// counted: job.tolerated, this process and its ancestors, .hasup, and who only reads (a person's `tail`). `dir` is
// searched instead of job.data_dir and job.also when it is not empty; locks are not asked then. Asks for leases, so
// the caller must ignore SIGIO (write_lease.hpp). `each` is called for every file that is looked at.
outcome<std::optional<ports::writer_info>> find_writer(const ports::worker_job& job, const std::string& dir = "",
                                                       const std::function<void()>& each = {});

std::string describe(const ports::writer_info& writer);

// All of it. A writer makes the result fail with `writer`, so that nobody who only asks ok() starts a second node;
// the other members are filled in all the same.
ports::worker_result inspect(const ports::worker_job& job, const std::function<void()>& each = {});

}  // namespace hasup::snapshot
