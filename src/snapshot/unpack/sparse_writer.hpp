// Writes one new file in order, leaving holes where the archive has them and where 64 KiB or more are zero, and
// watches the free space for all files of a job.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/unique_fd.hpp"
#include "snapshot/job_control.hpp"
#include "snapshot/outcome.hpp"

namespace hasup::snapshot {

// How much a job has written, and whether it may go on.
class space_guard {
 public:
  // `spoken_for`: bytes that somebody else still needs, as of now; may be empty.
  space_guard(int fd, std::uint64_t min_free, std::string place, std::function<std::uint64_t()> spoken_for = {})
      : fd_(fd), min_free_(min_free), place_(std::move(place)), spoken_for_(std::move(spoken_for)) {}

  // Looks at the free space now.
  outcome<void> check() const;
  // Before `bytes` are written; looks every 32 MiB. `bad_snapshot`: far more than was announced.
  outcome<void> before_writing(std::uint64_t bytes);
  // Of the archive that comes next: bytes that it was announced to take, holes left out; nothing is not asked.
  void expect(std::optional<std::uint64_t> announced) {
    announced_ = announced;
    of_this_ = 0;
  }
  void add_logical(std::uint64_t bytes) { logical_ += bytes; }
  [[nodiscard]] std::uint64_t logical() const { return logical_; }  // holes included

 private:
  int fd_;
  std::uint64_t min_free_;
  std::string place_;
  std::function<std::uint64_t()> spoken_for_;
  std::optional<std::uint64_t> announced_;
  std::uint64_t of_this_ = 0;
  std::uint64_t since_check_ = 0;
  std::uint64_t logical_ = 0;
};

class sparse_writer {
 public:
  static constexpr std::size_t hole_size = 64U << 10;

  // `buffer` is reused from file to file.
  sparse_writer(int fd, space_guard& guard, std::vector<char>& buffer);

  // Offsets only grow; a gap becomes a hole.
  outcome<void> write(const char* data, std::size_t size, std::uint64_t offset);
  // The file has at least `size` bytes then.
  outcome<void> finish(std::uint64_t size);

 private:
  outcome<void> flush();
  outcome<void> put(const char* data, std::size_t size);

  int fd_;
  space_guard& guard_;
  std::vector<char>& buffer_;
  std::size_t filled_ = 0;
  std::uint64_t start_ = 0;    // offset of the buffer's first byte
  std::uint64_t written_ = 0;  // how long the file is so far
};

}  // namespace hasup::snapshot
