// Decompressed bytes for libarchive's formats, block by block, made by threads of its own. Apart from the format,
// because a format stops at its own end mark and would leave the checksum behind it unread.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>

#include "snapshot/outcome.hpp"

namespace hasup::snapshot {

class byte_source {
 public:
  byte_source() = default;
  byte_source(const byte_source&) = delete;
  byte_source& operator=(const byte_source&) = delete;
  virtual ~byte_source() = default;  // ends its threads, wherever they are

  // Empty at the proper end; lives until the next call. The message of bad_snapshot is only what is wrong.
  virtual outcome<std::string_view> next() = 0;
  [[nodiscard]] virtual std::uint64_t bytes_read() const = 0;  // of the file
};

// What a library wanted and memory_to_unpack() (snapshot/sandbox.hpp) did not give. Goes on after the archive's name.
inline failure too_little_memory() {
  return refusal(
      "needs more memory to be decompressed than max_window allows; raise that, or compress it with a smaller "
      "window");
}

}  // namespace hasup::snapshot
