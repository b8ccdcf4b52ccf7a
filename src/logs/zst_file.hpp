// Rotated log files compressed with zstd: NAME.log.3.zst. Before the data stands a skippable frame that says which
// file it was, so that a reader that knew the original never takes it for another one. `zstdcat` reads it as any
// other.
#pragma once

#include <sys/stat.h>
#include <sys/types.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "base/result.hpp"

namespace hasup::logs {

// The uncompressed file as it was. Inode, size and time together name it: an inode alone is used again.
struct file_origin {
  std::uint64_t inode = 0;
  std::uint64_t size = 0;
  std::int64_t written_ns = 0;  // its last write
  std::uint64_t lines = 0;      // whole ones; the parts of a long line count once

  // Which lines it holds follows from the rest.
  friend bool operator==(const file_origin& a, const file_origin& b) {
    return a.inode == b.inode && a.size == b.size && a.written_ns == b.written_ns;
  }
};

// nullopt for a file that something else compressed.
std::optional<file_origin> read_origin(int fd);

// Reads the text of a compressed file from its beginning on. The descriptor must outlive it.
class zst_reader {
 public:
  explicit zst_reader(int fd);
  ~zst_reader();
  zst_reader(zst_reader&&) noexcept;
  zst_reader& operator=(zst_reader&&) noexcept;

  // As read(2): 0 at the end, -1 when the file is damaged or cannot be read.
  ssize_t read(char* to, std::size_t room);

 private:
  struct state;
  std::unique_ptr<state> state_;
};

// What a plain file is; its lines are not counted.
file_origin origin_of(const struct stat& s);

// Writes `from`, all of it, compressed to `to` and syncs it; reads it back before it says that it is done.
base::result<file_origin> compress_file(int from, int to);

}  // namespace hasup::logs
