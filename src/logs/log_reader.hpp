// Reads one log over all its files, oldest line first, parts of long lines put together; follows it over rotations.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "logs/log_files.hpp"

namespace hasup::logs {

struct log_line {
  std::int64_t time_ns = 0;
  std::string time;    // as written
  std::string stream;  // stdout, stderr
  std::string text;
};

class log_reader {
 public:
  // `path` of the file being written; it need not be there yet.
  explicit log_reader(std::string path) : path_(std::move(path)) {}

  // Begins with the oldest line. Files that were last written before `since_ns` are left out.
  base::result<void> open(std::int64_t since_ns);
  // Begins with the last `lines` lines.
  base::result<void> open_tail(std::size_t lines);

  // The next whole line; nullopt: there is none now. Call again once the log has grown or was rotated.
  std::optional<log_line> next();

  // No line is left and no file was ever there.
  [[nodiscard]] bool missing() const { return !seen_any_; }

 private:
  bool fill();  // more bytes into buffer_; false: at the end of what there is
  bool look_for_newer_files();
  std::optional<log_line> take_line(std::string_view line);

  std::string path_;
  std::vector<log_file> files_;  // the front is being read
  off_t offset_ = 0;             // in the front file
  std::string buffer_;
  std::size_t used_ = 0;  // of buffer_
  std::string held_[2];   // parts of an unfinished line: stdout, others
  bool seen_any_ = false;
};

// The last lines of a log as they are in its files, each ended by '\n'; for the control API. Blocking.
base::result<std::string> read_tail(const std::string& path, std::size_t lines);

}  // namespace hasup::logs
