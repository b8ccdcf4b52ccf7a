// A ring of entries that never wrap in their middle; an entry of length `wrapped` says: go on at the beginning.
#include "shim/line_queue.hpp"

#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <time.h>

#include "shim/proc.hpp"

namespace hasup::shim {

namespace {

constexpr uint32_t wrapped = UINT32_MAX;
constexpr size_t kept_when_idle = 4 << 10;

size_t size_of(size_t length) {
  return (sizeof(queue_entry) + length + 7) & ~size_t{7};
}

timespec in_realtime(unsigned milliseconds) {
  timespec until{};
  clock_gettime(CLOCK_REALTIME, &until);
  const long nanoseconds = until.tv_nsec + static_cast<long>(milliseconds % 1000) * 1'000'000;
  until.tv_sec += static_cast<time_t>(milliseconds / 1000) + nanoseconds / 1'000'000'000;
  until.tv_nsec = nanoseconds % 1'000'000'000;
  return until;
}

class locked {
 public:
  explicit locked(pthread_mutex_t& mutex) : mutex_(mutex) { pthread_mutex_lock(&mutex_); }
  ~locked() { pthread_mutex_unlock(&mutex_); }
  locked(const locked&) = delete;
  locked& operator=(const locked&) = delete;

 private:
  pthread_mutex_t& mutex_;
};

}  // namespace

line_queue::line_queue()
    : memory_(static_cast<char*>(map_lazily(capacity))),
      room_event_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)),
      dropped_event_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {}

void line_queue::add_dropped(uint64_t lines) {
  if (lines == 0) return;
  __atomic_add_fetch(&dropped_, lines, __ATOMIC_RELAXED);
  const uint64_t one = 1;
  if (write(dropped_event_.get(), &one, sizeof one) < 0) return;
}

void line_queue::clear_dropped_event() const {
  uint64_t count = 0;
  if (read(dropped_event_.get(), &count, sizeof count) < 0) return;
}

bool line_queue::push(output from, piece kind, int64_t read_at_ns, const char* first, size_t first_length,
                      const char* second, size_t second_length) {
  const size_t length = first_length + second_length;
  const size_t needed = size_of(length);
  const locked guard(mutex_);
  size_t lost = 0;
  if (tail_ + needed > capacity) lost = capacity - tail_;
  if (used_ + lost + needed > capacity) return false;
  if (lost > 0) {
    // Positions are multiples of 8, an entry takes 16: with 8 bytes left only the length fits, and that is enough.
    memcpy(memory_ + tail_, &wrapped, sizeof wrapped);
    used_ += lost;
    tail_ = 0;
  }
  const queue_entry entry{static_cast<uint32_t>(length), from, kind, 0, read_at_ns};
  memcpy(memory_ + tail_, &entry, sizeof entry);
  if (first_length > 0) memcpy(memory_ + tail_ + sizeof entry, first, first_length);
  if (second_length > 0) memcpy(memory_ + tail_ + sizeof entry + first_length, second, second_length);
  tail_ += needed;
  used_ += needed;
  if (tail_ > touched_) touched_ = tail_;
  if (tail_ == capacity) tail_ = 0;
  if (waiting_) pthread_cond_signal(&filled_);
  return true;
}

size_t line_queue::room() {
  const locked guard(mutex_);
  return capacity - used_;
}

bool line_queue::ask_for_room() {
  const locked guard(mutex_);
  room_wanted_ = used_ > capacity / 2;
  return !room_wanted_;
}

uint64_t line_queue::taken() {
  const locked guard(mutex_);
  return taken_;
}

void line_queue::clear_room_event() const {
  uint64_t count = 0;
  if (read(room_event_.get(), &count, sizeof count) < 0) return;
}

const queue_entry* line_queue::front() {
  const locked guard(mutex_);
  if (used_ == 0) return nullptr;
  uint32_t length = 0;
  if (head_ < capacity) memcpy(&length, memory_ + head_, sizeof length);
  if (head_ == capacity || length == wrapped) {
    used_ -= capacity - head_;
    head_ = 0;
  }
  idle_ = false;
  return reinterpret_cast<const queue_entry*>(memory_ + head_);
}

void line_queue::release() {
  const locked guard(mutex_);
  uint32_t length = 0;
  memcpy(&length, memory_ + head_, sizeof length);
  const size_t size = size_of(length);
  used_ -= size;
  taken_ += size;
  head_ += size;
  if (used_ == 0) head_ = tail_ = 0;  // so that a calm unit only ever touches the first pages
  if (room_wanted_ && used_ <= capacity / 2) {
    room_wanted_ = false;
    const uint64_t one = 1;
    if (write(room_event_.get(), &one, sizeof one) < 0) return;
  }
}

void line_queue::wait(unsigned milliseconds) {
  const locked guard(mutex_);
  if (used_ == 0 && touched_ > kept_when_idle) {
    madvise(memory_ + kept_when_idle, capacity - kept_when_idle, MADV_DONTNEED);
    touched_ = 0;
  }
  waiting_ = true;
  const timespec until = in_realtime(milliseconds);
  while (used_ == 0) {
    if (milliseconds == 0)
      pthread_cond_wait(&filled_, &mutex_);
    else if (pthread_cond_timedwait(&filled_, &mutex_, &until) == ETIMEDOUT)
      break;
  }
  waiting_ = false;
}

uint64_t line_queue::lines_left() {
  const locked guard(mutex_);
  uint64_t lines = 0;
  size_t at = head_;
  for (size_t left = used_; left > 0;) {
    queue_entry entry{};
    if (at < capacity) memcpy(&entry.length, memory_ + at, sizeof entry.length);
    if (at == capacity || entry.length == wrapped) {
      left -= capacity - at;
      at = 0;
      continue;
    }
    memcpy(&entry, memory_ + at, sizeof entry);
    if (entry.kind == piece::full) ++lines;
    if (entry.kind == piece::lines)
      for (size_t i = 0; i < entry.length; ++i) lines += memory_[at + sizeof entry + i] == '\n' ? 1 : 0;
    at += size_of(entry.length);
    left -= size_of(entry.length);
  }
  return lines;
}

void line_queue::mark_idle() {
  const locked guard(mutex_);
  if (used_ != 0) return;
  idle_ = true;
  pthread_cond_broadcast(&emptied_);
}

bool line_queue::wait_empty(unsigned milliseconds) {
  const timespec until = in_realtime(milliseconds);
  const locked guard(mutex_);
  while (used_ != 0 || !idle_)
    if (pthread_cond_timedwait(&emptied_, &mutex_, &until) == ETIMEDOUT) return used_ == 0 && idle_;
  return true;
}

}  // namespace hasup::shim
