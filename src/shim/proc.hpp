// Clocks, numbers as text and the few facts of /proc that a shim needs; no stdio, no allocation.
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <string.h>

namespace hasup::shim {

int64_t realtime_ns();
uint64_t monotonic_ms();
uint64_t boottime_ms();

struct process_stat {
  char state;
  int32_t ppid;
  int32_t session;
  uint64_t start_time;
  uint64_t threads;
};
bool read_stat(int32_t pid, process_stat& out);
// A zombie is not alive: it has no memory, no files and cannot write any more. One whose main thread alone has ended
// looks like one too, but its other threads run on.
// Who cannot be looked at for want of descriptors or memory counts as alive.
bool is_alive(int32_t pid, uint64_t start_time);
// By errno of what failed: it may be there, but this process cannot see it now.
bool cannot_look();
void read_boot_id(char (&out)[40]);
// Processes that the kernel has killed for want of memory since its boot, on the whole machine, in whatever cgroup.
// False: it does not tell (before Linux 4.13).
bool read_machine_oom_kills(uint64_t& out);
// The number behind "key " in a file of such lines, read from its beginning. False: there is none.
bool find_number(int fd, const char* key, uint64_t& out);
// False with errno. A user may not go below what his session has; that is no failure.
bool set_oom_score(int32_t pid, int value);

// Reads a decimal number at text and moves on; false: there is no digit.
bool parse_number(const char*& text, const char* end, uint64_t& out);

// Text of a fixed capacity; what does not fit is cut off and remembered.
template <size_t N>
class fixed_text {
 public:
  fixed_text& operator<<(const char* text) { return put(text, strlen(text)); }
  fixed_text& operator<<(uint64_t number) {
    char digits[20];
    size_t at = sizeof digits;
    do digits[--at] = static_cast<char>('0' + number % 10);
    while (number /= 10);
    return put(digits + at, sizeof digits - at);
  }
  fixed_text& put(const char* text, size_t length) {
    if (length > N - 1 - length_) {
      length = N - 1 - length_;
      cut_ = true;
    }
    memcpy(text_ + length_, text, length);
    length_ += length;
    text_[length_] = 0;
    return *this;
  }
  const char* c_str() const { return text_; }
  size_t size() const { return length_; }
  bool cut() const { return cut_; }

 private:
  char text_[N] = {};
  size_t length_ = 0;
  bool cut_ = false;
};

// Memory that is only spent when it is touched; ends the shim when there is none (at its start only).
void* map_lazily(size_t size);

}  // namespace hasup::shim
