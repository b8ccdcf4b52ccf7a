// Reads /proc and the clocks for the shim.
#include "shim/proc.hpp"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "base/unique_fd.hpp"

namespace hasup::shim {

namespace {

int64_t clock_ns(clockid_t clock) {
  timespec now{};
  clock_gettime(clock, &now);
  return static_cast<int64_t>(now.tv_sec) * 1'000'000'000 + now.tv_nsec;
}

ssize_t read_file(const char* path, char* buffer, size_t capacity) {
  const base::unique_fd fd(open(path, O_RDONLY | O_CLOEXEC));
  return fd ? read(fd.get(), buffer, capacity) : -1;
}

}  // namespace

int64_t realtime_ns() {
  return clock_ns(CLOCK_REALTIME);
}
uint64_t monotonic_ms() {
  return static_cast<uint64_t>(clock_ns(CLOCK_MONOTONIC) / 1'000'000);
}
uint64_t boottime_ms() {
  return static_cast<uint64_t>(clock_ns(CLOCK_BOOTTIME) / 1'000'000);
}

bool parse_number(const char*& text, const char* end, uint64_t& out) {
  const char* const begin = text;
  out = 0;
  for (; text < end && *text >= '0' && *text <= '9'; ++text) out = out * 10 + static_cast<uint64_t>(*text - '0');
  return text != begin;
}

bool read_stat(int32_t pid, process_stat& out) {
  fixed_text<40> path;
  path << "/proc/" << static_cast<uint64_t>(pid) << "/stat";
  char text[1024];
  const ssize_t got = read_file(path.c_str(), text, sizeof text);
  if (got <= 0) return false;
  const char* const end = text + got;
  // The name of the program stands in parentheses and may hold anything, so the fields begin after the last one.
  const auto* at = static_cast<const char*>(memrchr(text, ')', static_cast<size_t>(got)));
  if (!at || end - at < 4) return false;
  at += 2;
  out = {*at, 0, 0, 0, 0};
  at += 2;
  constexpr int ppid_field = 4;
  constexpr int session_field = 6;
  constexpr int threads_field = 20;
  constexpr int start_time_field = 22;
  for (int number = ppid_field; number <= start_time_field && at < end; ++number) {
    if (*at == '-') ++at;
    uint64_t value = 0;
    if (!parse_number(at, end, value)) return false;
    if (number == ppid_field) out.ppid = static_cast<int32_t>(value);
    if (number == session_field) out.session = static_cast<int32_t>(value);
    if (number == threads_field) out.threads = value;
    if (number == start_time_field) out.start_time = value;
    ++at;
  }
  return out.start_time != 0;
}

bool is_alive(int32_t pid, uint64_t start_time) {
  process_stat stat;
  if (pid <= 0) return false;
  errno = 0;
  if (!read_stat(pid, stat)) return cannot_look();
  if (stat.start_time != start_time) return false;
  return (stat.state != 'Z' && stat.state != 'X') || stat.threads > 1;
}

bool cannot_look() {
  return errno == EMFILE || errno == ENFILE || errno == ENOMEM;
}

void read_boot_id(char (&out)[40]) {
  memset(out, 0, sizeof out);
  const ssize_t got = read_file("/proc/sys/kernel/random/boot_id", out, sizeof out - 1);
  for (ssize_t i = 0; i < got; ++i)
    if (out[i] == '\n') out[i] = 0;
}

bool find_number(int fd, const char* key, uint64_t& out) {
  const size_t length = strlen(key);
  char text[1024];
  size_t matched = 0;  // of the key and its blank at the beginning of a line; behind them the number stands
  bool elsewhere = false;
  bool digits = false;
  off_t at = 0;
  out = 0;
  for (ssize_t got = 0; (got = pread(fd, text, sizeof text, at)) > 0; at += got) {
    for (ssize_t i = 0; i < got; ++i) {
      const char c = text[i];
      if (digits && (c < '0' || c > '9')) return true;
      if (c == '\n') {
        matched = 0;
        elsewhere = false;
      } else if (!elsewhere && matched <= length) {
        elsewhere = c != (matched < length ? key[matched] : ' ');
        ++matched;
      } else if (!elsewhere && c >= '0' && c <= '9') {
        digits = true;
        out = out * 10 + static_cast<uint64_t>(c - '0');
      } else {
        elsewhere = true;
      }
    }
  }
  return digits;
}

bool read_machine_oom_kills(uint64_t& out) {
  const base::unique_fd fd(open("/proc/vmstat", O_RDONLY | O_CLOEXEC));
  return fd && find_number(fd.get(), "oom_kill", out);
}

bool set_oom_score(int32_t pid, int value) {
  fixed_text<16> text;
  if (value < 0) text << "-";
  text << static_cast<uint64_t>(value < 0 ? -value : value);
  fixed_text<48> path;
  path << "/proc/" << static_cast<uint64_t>(pid) << "/oom_score_adj";
  const int fd = open(path.c_str(), O_WRONLY | O_CLOEXEC);
  if (fd < 0) return false;
  const ssize_t wrote = write(fd, text.c_str(), text.size());
  const int error = errno;
  close(fd);
  if (wrote < 0 && error == EACCES && geteuid() != 0) return true;
  errno = error;
  return wrote > 0;
}

void* map_lazily(size_t size) {
  void* const memory =
      mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) _exit(71);
  return memory;
}

}  // namespace hasup::shim
