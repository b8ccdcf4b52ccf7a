// [run] create_directories: the directories that a unit wants to find at its start.
#pragma once

#include "ports/worker_job.hpp"

namespace hasup::snapshot {

// Runs as root where the daemon does, so it goes by a path only as far as nobody but root can change it, and as the
// unit's user from there on: what the user could replace meanwhile, he could only replace by what is his. A directory
// that is there already stays as it is. Never made: the data directory of a unit that has run before, and anything
// while one of job.mounts is not mounted. The first failure ends it; its text says what to do.
ports::worker_result make_directories(const ports::worker_job& job);

}  // namespace hasup::snapshot
