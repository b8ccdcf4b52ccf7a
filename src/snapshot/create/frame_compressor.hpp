// Compresses to zstd on all cores: equal pieces of the input become frames of their own, each with its size and a
// checksum, so that unpacking uses all cores too. What comes out depends on the input, the level and libzstd alone,
// never on the number of cores.
//
//   add() ──8 MiB──> todo ──> cores ──┐
//     └──> order: the same frames ────┴──> one thread ──> the sink, in order
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string_view>
#include <vector>

#include "snapshot/outcome.hpp"
#include "snapshot/unpack/block_queue.hpp"
#include "snapshot/unpack/helper_thread.hpp"

namespace hasup::snapshot {

struct frame_options {
  int level = 3;
  std::size_t frame = 8U << 20;  // zstd_source decompresses such a frame as a whole
  unsigned cores = usable_cores();
  bool compress = true;  // else the pieces go on as they are
};

class frame_compressor {
 public:
  // Takes the bytes in order, called from one thread of this class's own.
  using sink = std::function<outcome<void>(std::string_view)>;

  static outcome<std::unique_ptr<frame_compressor>> start(const frame_options& options, sink to);
  ~frame_compressor();

  // A failure of the sink comes back from one of the next calls.
  outcome<void> add(const char* data, std::size_t size);
  // All of it has reached the sink, or there is a failure. An empty input becomes one empty frame.
  outcome<void> finish();

 private:
  struct frame {
    buffer in;
    buffer out;
    bool done = false;
  };
  using frame_ptr = std::shared_ptr<frame>;

  frame_compressor(const frame_options& options, sink to);
  outcome<void> send();
  void compress();
  void drain();
  void fail(failure why);

  frame_options options_;
  sink sink_;
  std::size_t most_;   // frames in flight
  frame_ptr filling_;  // of the caller
  bool any_ = false;
  std::mutex mutex_;
  std::condition_variable room_;
  std::condition_variable todo_there_;
  std::condition_variable ready_;
  std::deque<frame_ptr> todo_;
  std::deque<frame_ptr> order_;
  std::vector<frame_ptr> free_;
  std::size_t in_flight_ = 0;
  bool finished_ = false;
  bool closing_ = false;
  std::optional<failure> failure_;
  std::vector<helper_thread> threads_;
};

}  // namespace hasup::snapshot
