// The file as it is, read by a thread of its own, so that a slow disk and the work on its bytes overlap.
#pragma once

#include <atomic>
#include <optional>

#include "snapshot/unpack/archive_file.hpp"
#include "snapshot/unpack/block_queue.hpp"
#include "snapshot/unpack/byte_source.hpp"
#include "snapshot/unpack/helper_thread.hpp"

namespace hasup::snapshot {

class read_ahead : public byte_source {
 public:
  // Read from its start, whatever its position.
  static outcome<std::unique_ptr<read_ahead>> start(const archive_file& file);
  ~read_ahead() override;

  outcome<std::string_view> next() override;
  [[nodiscard]] std::uint64_t bytes_read() const override { return read_; }
  void stop() { unwanted_.request_stop(); }  // next() fails then, where the rest has not come yet

 private:
  explicit read_ahead(const archive_file& file) : file_(file) {}
  void run();

  archive_file file_;
  std::stop_source unwanted_;
  block_queue queue_{512U << 10, 4};
  std::optional<buffer> held_;
  std::atomic<std::uint64_t> read_{0};
  helper_thread thread_;
};

}  // namespace hasup::snapshot
