// Is the state that a recovery has put in place there, and nobody else at it? Asked before anything of it is moved or
// started by a hasupd that has not done so itself: meanwhile the machine may have booted without the volume, or
// another supervisor may have started the node. Pure.
#pragma once

#include <cstdint>
#include <string>

#include "ports/worker_job.hpp"
#include "recovery/progress.hpp"

namespace hasup::recovery {

// What of its mounts is not there, with what a person can do; nothing when all are. `dir` is the data directory.
std::string why_not_mounted(const std::string& dir, const ports::worker_result& seen);

// Why nothing may be moved, deleted or started in the data directory that an inspection found so; "" = it may. It is
// waited for: nothing of it is held against the snapshot, and no journal is given up for it.
std::string why_data_waits(const progress& p, const ports::worker_result& seen);

// The same before the node, or an import, is started: with `room` bytes free (0 = not asked).
std::string why_start_waits(const progress& p, const ports::worker_result& seen, std::uint64_t room);

}  // namespace hasup::recovery
