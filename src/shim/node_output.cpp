// Looks for pipes among the descriptors in /proc. A pipe is known by its inode: the number of a process or of a
// descriptor may belong to something else by the time it is opened.
#include "shim/node_output.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "shim/number_entries.hpp"
#include "shim/proc.hpp"

namespace hasup::shim {

namespace {

using path_text = fixed_text<64>;

path_text descriptor_path(int32_t pid, const char* folder, int number) {
  path_text path;
  path << "/proc/" << static_cast<uint64_t>(pid) << folder << static_cast<uint64_t>(number);
  return path;
}

// Without opening it, which a device or a socket might resent.
bool names_pipe(const char* link, uint64_t inode) {
  fixed_text<40> wanted;
  wanted << "pipe:[" << inode << "]";
  char text[64];
  const ssize_t got = readlink(link, text, sizeof text);
  return got == static_cast<ssize_t>(wanted.size()) && memcmp(text, wanted.c_str(), wanted.size()) == 0;
}

base::unique_fd open_if_same(int32_t pid, int number, uint64_t inode) {
  const auto path = descriptor_path(pid, "/fd/", number);
  if (!names_pipe(path.c_str(), inode)) return {};
  base::unique_fd fd(open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY));
  if (fd && pipe_inode(fd.get()) != inode) fd.reset();
  return fd;
}

template <class Each>
void each_descriptor(int32_t pid, Each each) {
  fixed_text<40> folder;
  folder << "/proc/" << static_cast<uint64_t>(pid) << "/fd";
  each_number(folder.c_str(), each);
}

// The line "flags:" of fdinfo, an octal number, ends with the access mode.
bool is_open_for_reading(int32_t pid, int number) {
  const base::unique_fd fd(open(descriptor_path(pid, "/fdinfo/", number).c_str(), O_RDONLY | O_CLOEXEC));
  char text[256];
  const ssize_t got = fd ? read(fd.get(), text, sizeof text - 1) : -1;
  if (got <= 0) return false;
  text[got] = 0;
  const char* const flags = strstr(text, "flags:");
  const char* const end = flags ? strchr(flags, '\n') : nullptr;
  return end && end[-1] >= '0' && end[-1] <= '7' && ((end[-1] - '0') & O_ACCMODE) != O_WRONLY;
}

base::unique_fd open_pipe_of_thread(int32_t pid, uint64_t inode) {
  base::unique_fd found;
  for (const int number : {STDOUT_FILENO, STDERR_FILENO}) {
    found = open_if_same(pid, number, inode);
    if (found) return found;
  }
  each_descriptor(pid, [&](int32_t number) {
    if (!found) found = open_if_same(pid, number, inode);
  });
  return found;
}

}  // namespace

uint64_t pipe_inode(int fd) {
  struct stat info;
  return fd >= 0 && fstat(fd, &info) == 0 && S_ISFIFO(info.st_mode) ? info.st_ino : 0;
}

uint64_t pipe_inode_of(int32_t pid, int number) {
  const auto path = descriptor_path(pid, "/fd/", number);
  struct stat info;
  if (stat(path.c_str(), &info) != 0 || !S_ISFIFO(info.st_mode)) return 0;
  return names_pipe(path.c_str(), info.st_ino) ? info.st_ino : 0;  // a fifo with a name has other users
}

base::unique_fd open_pipe_of(int32_t pid, uint64_t inode) {
  base::unique_fd found = open_pipe_of_thread(pid, inode);
  if (found) return found;
  // A main thread that has ended shows no files any more, but the others run on with them.
  fixed_text<40> tasks;
  tasks << "/proc/" << static_cast<uint64_t>(pid) << "/task";
  each_number(tasks.c_str(), [&](int32_t thread) {
    if (!found && thread != pid) found = open_pipe_of_thread(thread, inode);
  });
  return found;
}

bool is_read_by_others(int32_t pid, uint64_t inode) {
  bool read = false;
  each_number("/proc", [&](int32_t other) {
    if (read || other == pid || other == getpid()) return;
    each_descriptor(other, [&](int32_t number) {
      read = read || (names_pipe(descriptor_path(other, "/fd/", number).c_str(), inode) &&
                      is_open_for_reading(other, number));
    });
  });
  return read;
}

}  // namespace hasup::shim
