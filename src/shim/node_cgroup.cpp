// Reads and writes the files of a cgroup.
#include "shim/node_cgroup.hpp"

#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "shim/proc.hpp"

namespace hasup::shim {

namespace {

constexpr long cgroup2_magic = 0x63677270;

bool write_file(int directory, const char* file, const char* text) {
  const base::unique_fd fd(openat(directory, file, O_WRONLY | O_CLOEXEC));
  return fd && write(fd.get(), text, strlen(text)) > 0;
}

}  // namespace

bool node_cgroup::open(const char* path) {
  directory_.reset();
  events_.reset();
  if (!path || path[0] == 0) return false;
  base::unique_fd directory(::open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  struct statfs info {};
  if (!directory || fstatfs(directory.get(), &info) != 0 || info.f_type != cgroup2_magic) return false;
  struct stat identity {};
  if (fstat(directory.get(), &identity) != 0) return false;
  inode_ = identity.st_ino;
  events_.reset(openat(directory.get(), "cgroup.events", O_RDONLY | O_CLOEXEC));
  if (!events_) return false;
  directory_ = static_cast<base::unique_fd&&>(directory);
  return true;
}

pid_t node_cgroup::fork_into() const {
  if (killed_ == inode_) {
    errno = ENOTSUP;
    return -1;
  }
  clone_args args{};
  args.flags = CLONE_INTO_CGROUP;
  args.exit_signal = SIGCHLD;
  args.cgroup = static_cast<uint64_t>(directory_.get());
  return static_cast<pid_t>(syscall(SYS_clone3, &args, sizeof args));
}

bool node_cgroup::enter() const {
  return write_file(directory_.get(), "cgroup.procs", "0");
}

bool node_cgroup::populated() const {
  uint64_t number = 0;
  return find_number(events_.get(), "populated", number) && number != 0;
}

bool node_cgroup::kill_all() const {
  killed_ = inode_;
  return directory_ && write_file(directory_.get(), "cgroup.kill", "1");
}

void node_cgroup::collect(process_walk& walk) const {
  if (!directory_) return;
  const base::unique_fd fd(openat(directory_.get(), "cgroup.procs", O_RDONLY | O_CLOEXEC));
  char text[1024];
  uint64_t number = 0;
  // A number a line; one of another pid namespace reads 0.
  for (ssize_t got = 0; fd && (got = read(fd.get(), text, sizeof text)) > 0;) {
    for (ssize_t i = 0; i < got; ++i) {
      if (text[i] != '\n') {
        number = number * 10 + static_cast<uint64_t>(text[i] - '0');
        continue;
      }
      if (number != 0) walk.add_process(static_cast<int32_t>(number));
      number = 0;
    }
  }
}

bool node_cgroup::oom_kills(uint64_t& out) const {
  if (!directory_) return false;
  const base::unique_fd fd(openat(directory_.get(), "memory.events", O_RDONLY | O_CLOEXEC));
  return fd && find_number(fd.get(), "oom_kill", out);
}

void move_self(const char* cgroup) {
  const base::unique_fd directory(open(cgroup, O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (directory) write_file(directory.get(), "cgroup.procs", "0");
}

}  // namespace hasup::shim
