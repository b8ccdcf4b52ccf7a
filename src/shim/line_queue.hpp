// The bounded buffer between the reader of the pipes and the writer of the log: 1 MiB of whole lines and parts of
// long ones. One thread pushes, one takes; pushing never waits. It also counts the lines that were dropped.
#pragma once

#include <pthread.h>
#include <stddef.h>
#include <stdint.h>

#include "base/unique_fd.hpp"

namespace hasup::shim {

enum class output : uint8_t { stdout_, stderr_ };

enum class piece : uint8_t {
  lines,  // whole lines, each with its newline
  part,   // a part of a long line, more follows
  full,   // a line, or the last part of a long one, without its newline
  gap,    // lines were dropped here: u64, how many
};

struct queue_entry {
  uint32_t length;
  output from;
  piece kind;
  uint16_t reserved;
  int64_t read_at_ns;
};

class line_queue {
 public:
  static constexpr size_t capacity = 1 << 20;

  line_queue();

  // Reader's side. The data is given in two pieces. False: it does not fit.
  bool push(output from, piece kind, int64_t read_at_ns, const char* first, size_t first_length, const char* second,
            size_t second_length);
  [[nodiscard]] size_t room();
  // Asks for a byte on room_event() once half of the buffer is free; true: it is free already.
  bool ask_for_room();
  [[nodiscard]] int room_event() const { return room_event_.get(); }
  void clear_room_event() const;
  // Bytes that the writer took in all: does it get on?
  [[nodiscard]] uint64_t taken();
  // Waits until the writer has taken and released everything, at most so long. True: it has.
  bool wait_empty(unsigned milliseconds);

  // Lines that the writer has not taken yet.
  [[nodiscard]] uint64_t lines_left();

  // Writer's side. The oldest entry, which stays until release(); null when empty.
  const queue_entry* front();
  void release();
  // Waits for an entry; gives touched memory back first when a burst is over. With a time it waits at most so long.
  void wait(unsigned milliseconds = 0);
  // Everything before is written out: what wait_empty waits for.
  void mark_idle();

  void add_dropped(uint64_t lines);
  // Readable once lines were dropped, until cleared.
  [[nodiscard]] int dropped_event() const { return dropped_event_.get(); }
  void clear_dropped_event() const;
  void reset_dropped() { __atomic_store_n(&dropped_, 0, __ATOMIC_RELAXED); }
  [[nodiscard]] uint64_t dropped() const { return __atomic_load_n(&dropped_, __ATOMIC_RELAXED); }

 private:
  pthread_mutex_t mutex_ = PTHREAD_MUTEX_INITIALIZER;
  pthread_cond_t filled_ = PTHREAD_COND_INITIALIZER;
  pthread_cond_t emptied_ = PTHREAD_COND_INITIALIZER;
  char* memory_;
  size_t head_ = 0;  // the oldest entry
  size_t tail_ = 0;  // where the next one goes
  size_t used_ = 0;  // with what is lost at the end of the memory
  size_t touched_ = 0;
  bool idle_ = true;      // the writer has nothing in its hands
  bool waiting_ = false;  // the writer sleeps
  bool room_wanted_ = false;
  uint64_t taken_ = 0;
  uint64_t dropped_ = 0;
  base::unique_fd room_event_;
  base::unique_fd dropped_event_;
};

}  // namespace hasup::shim
