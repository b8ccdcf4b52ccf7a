// The file as it is, read by a thread of its own, so that a slow disk and the work on its bytes overlap.
#pragma once

#include <atomic>
#include <optional>

#include "snapshot/unpack/block_queue.hpp"
#include "snapshot/unpack/byte_source.hpp"
#include "snapshot/unpack/helper_thread.hpp"

namespace hasup::snapshot {

// Reads until `size` bytes or the file's end.
outcome<std::size_t> read_at(int fd, char* data, std::size_t size, std::uint64_t offset);

class read_ahead : public byte_source {
 public:
  // `fd` is borrowed and read from its start, whatever its position.
  static outcome<std::unique_ptr<read_ahead>> start(int fd);
  ~read_ahead() override;

  outcome<std::string_view> next() override;
  [[nodiscard]] std::uint64_t bytes_read() const override { return read_; }

 private:
  explicit read_ahead(int fd) : fd_(fd) {}
  void run();

  int fd_;
  block_queue queue_{512U << 10, 4};
  std::optional<buffer> held_;
  std::atomic<std::uint64_t> read_{0};
  helper_thread thread_;
};

}  // namespace hasup::snapshot
