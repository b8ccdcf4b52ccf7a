// The cgroup v2 leaf of the node, made and limited by hasupd: every process below the node is in it, whatever became
// of its parent and its session. Without one, subreaper and /proc do.
#pragma once

#include <stdint.h>
#include <sys/types.h>

#include "base/unique_fd.hpp"
#include "shim/process_walk.hpp"

namespace hasup::shim {

class node_cgroup {
 public:
  // False: it is not there, or not a cgroup. An empty path closes it.
  bool open(const char* path);
  explicit operator bool() const { return static_cast<bool>(directory_); }

  // A fork whose child is born in the leaf, without the lock that moving a process takes. -1 with errno.
  // Not after a kill_all() in the same leaf: Linux 6.18 kills what is cloned into it from then on.
  [[nodiscard]] pid_t fork_into() const;
  // The calling process moves; for kernels without clone3. Only system calls.
  [[nodiscard]] bool enter() const;

  // Becomes readable with POLLPRI when `populated` may have changed.
  [[nodiscard]] int events() const { return events_.get(); }
  // Is there a process in it or below it? Zombies do not count.
  [[nodiscard]] bool populated() const;
  // SIGKILL to all of it at once, also to what is just being forked. False: a kernel before 5.14.
  [[nodiscard]] bool kill_all() const;
  void collect(process_walk& walk) const;
  // Processes that the kernel killed in it for want of memory, since the leaf was made. False: it does not count
  // them, having no memory controller.
  [[nodiscard]] bool oom_kills(uint64_t& out) const;

 private:
  base::unique_fd directory_;
  base::unique_fd events_;
  ino_t inode_ = 0;
  mutable ino_t killed_ = 0;
};

// A shim leaves the cgroup of the service that started its daemon.
void move_self(const char* cgroup);

}  // namespace hasup::shim
