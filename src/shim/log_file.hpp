// One log file with rotation by size and by day. A write that fails (disk full, directory gone) loses whole lines
// only, counts them, and is tried again a second later; torn lines are cut off again, also those of a
// shim that was killed. When writing works again, the
// log says how many are missing at this place.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/unique_fd.hpp"
#include "shim/record_page.hpp"

namespace hasup::shim {

inline constexpr size_t max_line = 16 << 10;  // without its stamp

class log_file {
 public:
  void set_target(const log_target& target);
  // Whole lines, each with its stamp. Returns how many of them could not be written.
  uint64_t write(const char* lines, size_t length);

  // Lines that were dropped before they came here: the next write tells of them first.
  void owe(uint64_t lines);
  // Lines are missing of which the log does not tell yet.
  [[nodiscard]] bool owes() const { return owed_ > 0; }
  // Tries to tell without a line that follows. `stamp`: stamp_size bytes.
  void tell_owed(const char* stamp);

  static constexpr size_t stamp_size = 30;

 private:
  bool ready();
  bool reopen();
  void mend_end();
  void rotate();
  bool rename_files();
  [[nodiscard]] bool cut_end(size_t bytes) const;
  [[nodiscard]] bool day_is_over(const char* lines) const;
  bool write_piece(const char* lines, size_t length, size_t& kept);
  size_t write_note(const char* stamp);
  uint64_t give_up(uint64_t lost);

  log_target target_;
  char path_[max_log_path];
  base::unique_fd file_;
  uint64_t size_ = 0;
  uint64_t owed_ = 0;
  char day_[10] = {};         // of the first line in the file
  uint64_t retry_at_ms_ = 0;  // 0: not failing
  uint64_t looked_at_ms_ = 0;
};

}  // namespace hasup::shim
