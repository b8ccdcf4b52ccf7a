// Which rotated files of a log are deleted and which compressed: a pure decision.
#pragma once

#include <chrono>
#include <cstdint>
#include <vector>

#include "base/duration.hpp"

namespace hasup::logs {

struct rotated_file {
  unsigned number = 0;      // NAME.log.NUMBER; the higher the older
  bool compressed = false;  // NAME.log.NUMBER.zst
  std::uint64_t bytes = 0;
  std::int64_t written_ns = 0;  // its last line
  std::uint64_t inode = 0;      // finds the file again after a rotation

  friend bool operator==(const rotated_file&, const rotated_file&) = default;
};

struct retention {
  unsigned max_files = 10;
  base::duration max_age{0};    // 0 = any age
  std::uint64_t max_total = 0;  // bytes; 0 = any sum
  bool compress = false;

  // Without any of these the shim alone keeps the rule.
  [[nodiscard]] bool needs_keeper() const { return max_age.count() > 0 || max_total > 0 || compress; }

  friend bool operator==(const retention&, const retention&) = default;
};

struct retention_plan {
  std::vector<rotated_file> remove;    // oldest first
  std::vector<rotated_file> compress;  // oldest first
};

retention_plan plan_retention(std::vector<rotated_file> files, const retention& rule, std::int64_t now_ns);

}  // namespace hasup::logs
