// One log file with rotation by size. A write that fails (disk full, directory gone) loses whole lines only, counts
// them, and is tried again a second later; torn lines are cut off again.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/unique_fd.hpp"
#include "shim/record_page.hpp"

namespace hasup::shim {

class log_file {
 public:
  void set_target(const log_target& target);
  // Whole lines. Returns how many of them could not be written.
  uint64_t write(const char* lines, size_t length);

 private:
  bool ready();
  bool reopen();
  void rotate();
  bool write_piece(const char* lines, size_t length, size_t& kept);

  log_target target_;
  char path_[max_log_path];
  base::unique_fd file_;
  uint64_t size_ = 0;
  uint64_t retry_at_ms_ = 0;  // 0: not failing
  uint64_t looked_at_ms_ = 0;
};

}  // namespace hasup::shim
