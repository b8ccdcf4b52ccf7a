// Reads an archive or one compressed file through libarchive. What it parses is read and decompressed by threads of
// their own (byte_source.hpp). Anything that is cut off or damaged is bad_snapshot.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "snapshot/outcome.hpp"
#include "snapshot/unpack/archive_file.hpp"

struct archive_entry;

namespace hasup::snapshot {

class archive_reader {
 public:
  enum class content { archive, single_file };

  struct block {
    const char* data = nullptr;
    std::size_t size = 0;
    std::uint64_t offset = 0;
  };

  struct options {
    std::uint64_t max_window = std::uint64_t{1} << 31U;  // of zstd
    std::size_t memory = 50U << 20;                      // of zstd, without the window
    std::function<bool()> stop{};                        // asked for every block: a cancellation
  };

  // Read from its start.
  static outcome<archive_reader> open(const archive_file& file, const std::string& name, content c, const options& o);
  ~archive_reader();
  archive_reader(archive_reader&&) noexcept;
  archive_reader& operator=(archive_reader&&) noexcept;

  // Null at the proper end. The entry lives until the next call.
  outcome<archive_entry*> next();
  // Nothing at the entry's end.
  outcome<std::optional<block>> next_block();
  // False: the file is not compressed at all.
  [[nodiscard]] bool compressed() const;
  [[nodiscard]] std::uint64_t bytes_read() const;  // of the archive file

 private:
  struct parts;
  explicit archive_reader(std::unique_ptr<parts> p);
  failure damaged(const std::string& why) const;
  outcome<void> leave_entry();
  outcome<archive_entry*> drain();
  std::unique_ptr<parts> parts_;
};

}  // namespace hasup::snapshot
