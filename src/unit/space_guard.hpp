// data.min_free while the node runs: a full disk corrupts its database, so it is stopped in order before. Pure; the
// daemon looks and tells.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/duration.hpp"
#include "model/unit.hpp"

namespace hasup::unit {

// Where data.min_free must be free: each of them may be on a file system of its own.
std::vector<std::string> watched_dirs(const model::data_dirs& data);

struct space_verdict {
  std::optional<std::string> warn;  // it gets near; told once until there is clearly more
  std::optional<std::string> stop;  // now
};

class space_guard {
 public:
  // Bytes free under `dir` to users other than root, and data.min_free; 0 = no guard.
  space_verdict observe(std::uint64_t free, std::uint64_t min_free, const std::string& dir);
  // Another run.
  void reset() { warned_ = false; }

 private:
  bool warned_ = false;
};

// What must be free before a node starts. After a stop for want of space a tenth more: what was freed by a little
// would be used up by the start.
std::uint64_t space_to_start(std::uint64_t min_free, bool was_stopped_for_space);

// Nothing is left for who wants to write: a node that ends then may have ended of that. Of `size` bytes in all,
// `free` for users other than root; the same of files, of which some file systems count none (0).
struct room_left {
  std::uint64_t free = 0;
  std::uint64_t size = 0;
  std::uint64_t free_files = 0;
  std::uint64_t files = 0;
  std::uint64_t device = 0;  // which file system
};
bool is_full(const room_left& room);

// When to look again: before even a fast disk could be written to the limit, at the latest after half a minute.
base::duration next_look(std::uint64_t free, std::uint64_t min_free);

}  // namespace hasup::unit
