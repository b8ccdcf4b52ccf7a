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

}  // namespace hasup::snapshot
