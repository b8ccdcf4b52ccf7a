// The log files that a node writes itself: where they ended when a run began, and what came after that. What stood
// there before is no evidence for the end of this run.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace hasup::logs {

struct file_mark {
  std::string path;
  std::uint64_t device = 0;
  std::uint64_t inode = 0;  // 0: the file was not there
  std::uint64_t size = 0;

  friend bool operator==(const file_mark&, const file_mark&) = default;
};

// Blocking, both.
file_mark mark_file(const std::string& path);
// The last whole lines since the mark, at most `limit` bytes; over a rotation by rename or by truncation. "" when
// there are none, or the file cannot be read.
std::string lines_since(const file_mark& mark, std::size_t limit);

}  // namespace hasup::logs
