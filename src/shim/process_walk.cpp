// Walks /proc/PID/task/TID/children; kernels without that file are walked by the parent of every process.
#include "shim/process_walk.hpp"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/unique_fd.hpp"
#include "shim/number_entries.hpp"
#include "shim/proc.hpp"

namespace hasup::shim {

namespace {

constexpr size_t max_processes = 64 << 10;
constexpr int32_t max_pid = 4 << 20;  // the kernel's own limit
constexpr size_t max_environment = 256 << 10;

bool has_children_file() {
  fixed_text<96> probe;
  probe << "/proc/self/task/" << static_cast<uint64_t>(getpid()) << "/children";
  return access(probe.c_str(), R_OK) == 0;
}

int open_process(int32_t pid) {
  return static_cast<int>(syscall(SYS_pidfd_open, pid, 0));
}

bool send_one(int pidfd, int32_t pid, int number) {
  if (pidfd >= 0) return syscall(SYS_pidfd_send_signal, pidfd, number, nullptr, 0) == 0;
  return kill(pid, number) == 0;  // a kernel without pidfd_open
}

// A signal that asks a process to do something.
bool asks(int number) {
  return number == SIGTERM || number == SIGINT || number == SIGQUIT || number == SIGHUP || number == SIGABRT;
}

// By job control: all of it. A debugger's stop is another state.
bool is_stopped(int32_t pid) {
  process_stat stat;
  return read_stat(pid, stat) && (stat.state == 'T' || (stat.state == 'Z' && stat.threads > 1));
}

bool send(int pidfd, int32_t pid, int number) {
  if (!send_one(pidfd, pid, number)) return false;
  if (asks(number) && is_stopped(pid)) send_one(pidfd, pid, SIGCONT);
  return true;
}

}  // namespace

process_walk::process_walk()
    : found_(static_cast<entry*>(map_lazily(max_processes * sizeof(entry)))),
      known_(static_cast<unsigned char*>(map_lazily(max_pid / 8))) {}

process_walk::~process_walk() {
  munmap(found_, max_processes * sizeof(entry));
  munmap(known_, max_pid / 8);
}

bool process_walk::know(int32_t pid) {
  if (pid <= 0 || pid >= max_pid) return true;
  unsigned char& byte = known_[pid / 8];
  const auto bit = static_cast<unsigned char>(1u << (pid % 8));
  const bool known = (byte & bit) != 0;
  byte = static_cast<unsigned char>(byte | bit);
  return known;
}

void process_walk::forget_last() {
  const int32_t pid = found_[--count_].pid;
  known_[pid / 8] = static_cast<unsigned char>(known_[pid / 8] & ~(1u << (pid % 8)));
}

void process_walk::add(int32_t pid, int32_t parent, uint64_t start_time) {
  if (count_ < max_processes && !know(pid)) found_[count_++] = {pid, parent, start_time};
}

void process_walk::add_children(int32_t pid) {
  fixed_text<64> tasks;
  tasks << "/proc/" << static_cast<uint64_t>(pid) << "/task";
  each_number(tasks.c_str(), [&](int32_t task) {
    fixed_text<96> path;
    path << tasks.c_str() << "/" << static_cast<uint64_t>(task) << "/children";
    const base::unique_fd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC));
    char text[1024];
    uint64_t number = 0;
    bool in_number = false;
    for (ssize_t got = 0; fd && (got = read(fd.get(), text, sizeof text)) > 0;) {
      for (ssize_t i = 0; i < got; ++i) {
        const bool digit = text[i] >= '0' && text[i] <= '9';
        if (digit) number = (in_number ? number * 10 : 0) + static_cast<uint64_t>(text[i] - '0');
        if (!digit && in_number) add(static_cast<int32_t>(number), pid);
        in_number = digit;
      }
    }
    if (in_number) add(static_cast<int32_t>(number), pid);
  });
}

void process_walk::scan_all(int32_t root) {
  // Every round finds the children of what is known; a tree is seldom deep.
  for (size_t before = SIZE_MAX; before != count_;) {
    before = count_;
    each_number("/proc", [&](int32_t pid) {
      process_stat stat;
      if (!read_stat(pid, stat)) return;
      bool below = stat.ppid == root;
      for (const entry& e : *this) below = below || e.pid == stat.ppid;
      if (below) add(pid, stat.ppid);
    });
  }
}

void process_walk::collect(int32_t root) {
  if (!has_children_file()) return scan_all(root);
  // Asked again for what is known: since the last walk it may have got new children.
  const size_t known_before = count_;
  add_children(root);
  for (size_t i = 0; i < known_before; ++i) add_children(found_[i].pid);
  for (size_t i = known_before; i < count_; ++i) add_children(found_[i].pid);
}

void process_walk::collect_below(int32_t root, uint64_t start_time) {
  const size_t before = count_;
  if (!is_alive(root, start_time)) return;
  if (has_children_file()) {
    add_children(root);
    for (size_t i = before; i < count_; ++i) add_children(found_[i].pid);
  } else {
    scan_all(root);
  }
  // The number may have gone to somebody else while we looked.
  process_stat stat;
  if (!read_stat(root, stat) || stat.start_time == start_time) return;
  while (count_ > before) forget_last();
}

void process_walk::collect_session(int32_t session, uint64_t since) {
  each_number("/proc", [&](int32_t pid) {
    process_stat stat;
    if (pid != session && read_stat(pid, stat) && stat.session == session && stat.start_time >= since)
      add(pid, stat.ppid, stat.start_time);
  });
}

void process_walk::add_process(int32_t pid) {
  process_stat stat;
  if (read_stat(pid, stat)) add(pid, stat.ppid, stat.start_time);
}

void process_walk::collect_marked(const char* mark) {
  auto* const text = static_cast<char*>(map_lazily(max_environment));
  const size_t length = strlen(mark) + 1;
  const bool listed = each_number("/proc", [&](int32_t pid) {
    fixed_text<40> path;
    path << "/proc/" << static_cast<uint64_t>(pid) << "/environ";
    const base::unique_fd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (!fd && cannot_look()) blind_ = true;
    size_t got = 0;
    for (ssize_t more = 1; fd && more > 0 && got<max_environment; got += more> 0 ? static_cast<size_t>(more) : 0)
      more = read(fd.get(), text + got, max_environment - got);
    for (size_t at = 0; at + length <= got;) {
      if (memcmp(text + at, mark, length) == 0) {
        add_process(pid);
        return;
      }
      const void* const end = memchr(text + at, 0, got - at);
      if (!end) return;
      at = static_cast<size_t>(static_cast<const char*>(end) - text) + 1;
    }
  });
  if (!listed) blind_ = true;
  munmap(text, max_environment);
}

bool process_walk::is_same(const entry& e) {
  process_stat stat;
  if (!read_stat(e.pid, stat)) return false;
  return e.start_time != 0 ? stat.start_time == e.start_time : stat.ppid == e.parent || stat.ppid == getpid();
}

size_t process_walk::signal_new(int number) {
  size_t sent = 0;
  for (; signalled_ < count_; ++signalled_) {
    const entry& e = found_[signalled_];
    const base::unique_fd held(open_process(e.pid));
    if (!held && errno == ESRCH) continue;
    if (!is_same(e)) continue;  // now that it is held it cannot become another one
    if (!send(held.get(), e.pid, number)) continue;
    ++sent;
  }
  return sent;
}

bool signal_process(int32_t pid, uint64_t start_time, int number) {
  const base::unique_fd held(open_process(pid));
  if (!held && errno == ESRCH) return false;
  return is_alive(pid, start_time) && send(held.get(), pid, number);
}

}  // namespace hasup::shim
