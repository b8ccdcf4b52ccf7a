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

// The number behind "key " in a file of such lines; 0: there is none.
uint64_t number_of(int fd, const char* key) {
  char text[1024];
  const ssize_t got = fd < 0 ? -1 : pread(fd, text, sizeof text, 0);
  const size_t length = strlen(key);
  for (ssize_t at = 0; at < got;) {
    const char* line = text + at;
    const auto* const end = static_cast<const char*>(memchr(line, '\n', static_cast<size_t>(got - at)));
    if (!end) return 0;
    if (static_cast<size_t>(end - line) > length && memcmp(line, key, length) == 0 && line[length] == ' ') {
      uint64_t number = 0;
      const char* digits = line + length + 1;
      parse_number(digits, end, number);
      return number;
    }
    at += end - line + 1;
  }
  return 0;
}

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
  return number_of(events_.get(), "populated") != 0;
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

uint64_t node_cgroup::oom_kills() const {
  if (!directory_) return 0;
  const base::unique_fd fd(openat(directory_.get(), "memory.events", O_RDONLY | O_CLOEXEC));
  return number_of(fd.get(), "oom_kill");
}

void move_self(const char* cgroup) {
  const base::unique_fd directory(open(cgroup, O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (directory) write_file(directory.get(), "cgroup.procs", "0");
}

}  // namespace hasup::shim
