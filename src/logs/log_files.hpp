// The files of one log: NAME.log being written, NAME.log.1 before it, NAME.log.2 or NAME.log.2.zst before that.
// Opened together, newest first, so that a rotation in the middle hides none of them.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/unique_fd.hpp"
#include "logs/zst_file.hpp"

namespace hasup::logs {

struct log_file {
  base::unique_fd fd;
  dev_t device = 0;
  ino_t inode = 0;
  bool compressed = false;
  std::optional<file_origin> origin{};  // of a compressed file: what it was
};

// The same text, be it that one of them was compressed meanwhile.
bool same_text(const log_file& a, const log_file& b);

// When the file was written last, in nanoseconds since 1970.
std::int64_t written_ns(const log_file& f);

// hasupd's own logs are no symbolic links; those that a node writes may be.
enum class links { refuse, follow };

// Oldest first. `path` is that of the file being written; a missing file is not an error, one that cannot be opened
// sets `code` to its errno.
std::vector<log_file> open_log(const std::string& path, int& code, links symbolic = links::refuse);

// Names of logs in a directory, without ".log": "leap", "miner@0". Sorted, numbers as numbers.
std::vector<std::string> list_logs(const std::string& directory);

// Where the last `lines` whole lines of the file begin: 0 when it has fewer (then `lines` is lowered by what it has).
// Parts of one long line count once.
off_t tail_offset(int fd, std::size_t& lines);

}  // namespace hasup::logs
