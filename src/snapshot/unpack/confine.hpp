// Locks the unpacking process in before it reads a byte of an archive: a flaw in an archive parser then finds no
// network, no other program to start, and nothing that can be written but .hasup and the directories of the answer.
#pragma once

#include "ports/worker_job.hpp"
#include "snapshot/outcome.hpp"

namespace hasup::snapshot {

// Landlock and seccomp, each as far as the kernel has it; a kernel without them is no failure. For the rest of the
// process's life.
outcome<void> confine_unpacking(const ports::worker_job& job);

}  // namespace hasup::snapshot
