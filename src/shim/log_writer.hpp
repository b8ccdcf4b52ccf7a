// The one thread that touches the log's disk. Takes lines from the queue and writes them in the CRI format:
//   2026-11-21T01:02:03.123456789Z stdout F line
// A line above 16 KiB becomes parts marked P, the last one F. Where lines are missing stands one that says how many.
#pragma once

#include <pthread.h>

#include "shim/line_queue.hpp"
#include "shim/log_file.hpp"

namespace hasup::shim {

class log_writer {
 public:
  explicit log_writer(line_queue& queue) : queue_(queue) {}
  bool start();
  // For the lines that are taken from the queue from now on.
  void set_target(const log_target& target);
  // Lines that are not in the file yet; for whoever gives up waiting for it.
  [[nodiscard]] uint64_t unwritten() const;

 private:
  static void* thread_main(void* self);
  [[noreturn]] void work();
  void format(const queue_entry& entry);
  void add_line(const queue_entry& entry, char mark, const char* text, size_t length);
  void flush();
  void tell_owed();
  void take_new_target();

  line_queue& queue_;
  log_file file_;
  pthread_mutex_t mutex_ = PTHREAD_MUTEX_INITIALIZER;
  log_target next_target_;  // under mutex_
  char next_path_[max_log_path];
  bool target_changed_ = false;
  char* text_ = nullptr;  // formatted lines on their way to the file
  size_t length_ = 0;
  size_t touched_ = 0;
  uint64_t lines_in_hand_ = 0;   // in text_
  uint64_t lines_of_front_ = 0;  // of the entry that is still in the queue: formatted
  char stamp_[32] = {};
  int64_t stamp_ns_ = -1;
};

}  // namespace hasup::shim
