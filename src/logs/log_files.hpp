// The files of one log: NAME.log being written, NAME.log.1 before it, NAME.log.2 before that. Opened together, newest
// first, so that a rotation in the middle hides none of them.
#pragma once

#include <sys/types.h>

#include <string>
#include <string_view>
#include <vector>

#include "base/unique_fd.hpp"

namespace hasup::logs {

struct log_file {
  base::unique_fd fd;
  dev_t device = 0;
  ino_t inode = 0;
};

// Oldest first. `path` is that of the file being written; a missing file is not an error, one that cannot be opened
// sets `code` to its errno.
std::vector<log_file> open_log(const std::string& path, int& code);

// Names of logs in a directory, without ".log": "leap", "miner@0". Sorted, numbers as numbers.
std::vector<std::string> list_logs(const std::string& directory);

// Where the last `lines` whole lines of the file begin: 0 when it has fewer (then `lines` is lowered by what it has).
// Parts of one long line count once.
off_t tail_offset(int fd, std::size_t& lines);

}  // namespace hasup::logs
