// Is the state that a recovery has put in place there, and nobody else at it? Asked before anything of it is moved or
// started by a hasupd that has not done so itself: meanwhile the machine may have booted without the volume, or
// another supervisor may have started the node. Pure.
#pragma once

#include <cstdint>
#include <string>

#include "ports/worker_job.hpp"
#include "recovery/progress.hpp"

namespace hasup::recovery {

// Why nothing may be moved, deleted or started in the data directory that an inspection found so; "" = it may. It is
// waited for: nothing of it is held against the snapshot, and no journal is given up for it.
std::string why_data_waits(const progress& p, const ports::worker_result& seen);

// The same before the node, or an import, is started: with `room` bytes free (0 = not asked).
std::string why_start_waits(const progress& p, const ports::worker_result& seen, std::uint64_t room);

}  // namespace hasup::recovery
