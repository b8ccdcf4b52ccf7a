// Compresses and deletes rotated files of a log. Blocking; for the worker process.
//
// Crash-safe at every point: a compressed file is written under a temporary name, synced, read back and renamed
// before its original goes; a reader or a shim never sees half of one. The shim may rotate at any time: numbers are
// looked up anew under the lock of the directory (flock, alone), which is held for the renames only.
#pragma once

#include <string>
#include <vector>

#include "base/unique_fd.hpp"
#include "logs/retention.hpp"

namespace hasup::logs {

// One process keeps the logs of a directory at a time. False: another one does it now.
bool lock_keeping(const std::string& directory, base::unique_fd& lock);

struct keeping_report {
  unsigned compressed = 0;
  unsigned removed = 0;
  std::vector<std::string> problems;
};

// `path` of the file being written. Call with lock_keeping's lock held.
keeping_report keep_log(const std::string& path, const retention& rule, std::int64_t now_ns);

}  // namespace hasup::logs
