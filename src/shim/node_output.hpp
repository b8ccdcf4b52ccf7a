// Finds the output pipes of a process that another shim started, or nobody of ours: for a shim that takes it over.
#pragma once

#include <stdint.h>

#include "base/unique_fd.hpp"

namespace hasup::shim {

// What is behind a descriptor, if it is a pipe; else 0.
uint64_t pipe_inode(int fd);
uint64_t pipe_inode_of(int32_t pid, int number);
// A read end of that pipe, non-blocking, by way of any descriptor that the process has of it. Empty: it has none.
base::unique_fd open_pipe_of(int32_t pid, uint64_t inode);
// Does any process but this pid and ourselves have the pipe open for reading? Two readers would tear the lines. Looks
// at every descriptor of the machine.
bool is_read_by_others(int32_t pid, uint64_t inode);

}  // namespace hasup::shim
