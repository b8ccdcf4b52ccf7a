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
  std::string time;    // as written; "" = the line itself says none
  std::string stream;  // stdout, stderr; file: a log file that the node writes itself
  std::string text;
  bool partial = false;  // its end is not in the log, or was cut off
};

// Written by a shim (CRI lines), or by the node in a form of its own.
enum class log_form { cri, plain };

class log_reader {
 public:
  // `path` of the file being written; it need not be there yet.
  explicit log_reader(std::string path, log_form form = log_form::cri) : path_(std::move(path)), form_(form) {}

  // Begins with the oldest line. Files that were last written before `since_ns` are left out.
  base::result<void> open(std::int64_t since_ns);
  // Begins with the last `lines` lines.
  base::result<void> open_tail(std::size_t lines);

  // The next whole line; nullopt: there is none now. Call again once the log has grown or was rotated.
  std::optional<log_line> next();
  // Of lines without an end what there is. For readers that do not follow, after the last next().
  std::optional<log_line> next_unfinished();

  // No line is left and no file was ever there.
  [[nodiscard]] bool missing() const { return !seen_any_; }
  // A compressed file that could not be read to its end; its remaining lines are missing from what was shown.
  [[nodiscard]] const std::string& damaged() const { return damaged_; }

 private:
  [[nodiscard]] links symbolic() const { return form_ == log_form::plain ? links::follow : links::refuse; }
  bool fill();  // more bytes into buffer_; false: at the end of what there is
  bool read_front();
  [[nodiscard]] bool rewritten(int fd) const;
  void drop_front();
  bool look_for_newer_files();
  std::optional<log_line> take_line(std::string_view line);
  log_line plain_line(std::string_view line);

  std::string path_;
  log_form form_;
  std::vector<log_file> files_;         // the front is being read
  std::optional<zst_reader> unpacker_;  // of the front file
  off_t offset_ = 0;                    // in the front file
  std::string last_bytes_;              // before offset_, of a plain file
  std::size_t skip_ = 0;                // lines that are before the asked for ones
  std::string buffer_;
  std::size_t used_ = 0;  // of buffer_
  struct held_line {
    std::string text;  // parts of an unfinished line
    std::string time;
    std::int64_t time_ns = 0;
  };
  std::optional<log_line> after_gap_;
  held_line held_[2];              // stdout, others
  std::int64_t last_time_ns_ = 0;  // for lines that carry none
  bool seen_time_ = false;         // in a plain file
  bool seen_any_ = false;
  std::string damaged_;
};

// The last lines of a log as they are in its files, each ended by '\n'; for the control API. Blocking.
base::result<std::string> read_tail(const std::string& path, std::size_t lines);

}  // namespace hasup::logs
