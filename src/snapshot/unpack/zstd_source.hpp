// Decompresses zstd on all cores where the file allows it. One thread reads and finds the frames (pzstd, the seekable
// format and files put together have many); whole frames that fit the memory go to the cores and come out in the
// file's order; frames too large for that are decompressed as streams, in order too. Windows of up to 2 GiB
// (`zstd --long=31`), which libarchive refuses.
//
//   read ──frames──> todo ──> cores ──┐
//     └──> order: the same pieces ────┴──> next()
//
// What is in flight (compressed and decompressed) is bounded by `memory`; the window of a streamed frame comes on
// top.
#pragma once

#include <atomic>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <vector>

#include "snapshot/unpack/archive_file.hpp"
#include "snapshot/unpack/byte_source.hpp"
#include "snapshot/unpack/helper_thread.hpp"
#include "snapshot/unpack/zstd_frames.hpp"
#include "snapshot/unpack/zstd_stream.hpp"

namespace hasup::snapshot {

struct zstd_limits {
  std::uint64_t window = frame_limits{}.window;
  std::size_t memory = 50U << 20;
  std::size_t largest_frame = 9U << 20;  // compressed; a larger one is streamed. pzstd puts 8 MiB into one
  unsigned cores = usable_cores();
};

class zstd_source : public byte_source {
 public:
  // Read from its start.
  static outcome<std::unique_ptr<zstd_source>> start(const archive_file& file, const zstd_limits& limits);
  ~zstd_source() override;

  outcome<std::string_view> next() override;
  [[nodiscard]] std::uint64_t bytes_read() const override { return read_; }

 private:
  struct piece;
  using piece_ptr = std::shared_ptr<piece>;

  zstd_source(const archive_file& file, const zstd_limits& limits);

  // The thread that reads. False: next() is not wanted any more.
  void read_all();
  outcome<bool> read_up_to(std::size_t filled);
  outcome<bool> send_next();
  [[nodiscard]] std::uint64_t largest_whole() const;
  bool send_whole(const frame_run& run);
  outcome<bool> send_stream(std::uint64_t window);
  void feed(piece& p);
  buffer take_from_carry(std::size_t bytes);

  // The threads that decompress.
  void work();
  void decompress_whole(piece& p, ZSTD_DCtx_s* context);
  void decompress_stream(piece& p);

  // With mutex_ held.
  buffer buffer_of(std::size_t size);
  void release(buffer b);

  archive_file file_;
  std::stop_source unwanted_;
  zstd_limits limits_;
  // Of the reading thread: what was read and not handed on yet.
  buffer carry_;
  std::uint64_t offset_ = 0;  // of its first byte
  std::size_t wanted_ = 0;    // bytes of it that may be enough
  bool at_end_ = false;
  std::atomic<std::uint64_t> read_{0};
  zstd_context stream_;  // one frame is streamed at a time, so there is one window

  std::mutex mutex_;
  std::condition_variable admit_;  // memory came back, or a stream ended
  std::condition_variable todo_there_;
  std::condition_variable ready_;
  std::deque<piece_ptr> todo_;
  std::deque<piece_ptr> order_;
  std::size_t in_flight_ = 0;  // bytes of the buffers of whole pieces and of carry_
  std::vector<buffer> free_;
  std::size_t free_bytes_ = 0;
  bool closing_ = false;
  bool all_read_ = false;
  std::optional<failure> read_failure_;

  buffer held_;          // what next() gave last
  piece_ptr streaming_;  // what next() reads from
  std::vector<helper_thread> threads_;
};

}  // namespace hasup::snapshot
