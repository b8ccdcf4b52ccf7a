// Compresses to zstd on all cores: pieces of the input become frames of their own, each with its size and a checksum,
// so that unpacking uses all cores too. What comes out depends on the input, the level and libzstd alone, never on
// the number of cores.
//
// Frames are equal pieces or, with `chunks`, end where the content says so (delta/content_chunker.hpp); what an index
// says of each is then found on the same cores. Small frames travel together, in batches.
//
//   add() ──a batch──> todo ──> cores ──┐
//     └──> order: the same batches ─────┴──> one thread ──> the sink, in order
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string_view>
#include <vector>

#include "snapshot/delta/chunk_index.hpp"
#include "snapshot/delta/content_chunker.hpp"
#include "snapshot/outcome.hpp"
#include "snapshot/unpack/block_queue.hpp"
#include "snapshot/unpack/helper_thread.hpp"

namespace hasup::snapshot {

struct frame_options {
  int level = 3;
  std::size_t frame = 8U << 20;  // zstd_source decompresses such a frame as a whole
  bool chunks = false;           // instead of frames of that size
  unsigned doublings = 0;        // of the chunks' sizes (content_chunker.hpp)
  unsigned cores = usable_cores();
  bool compress = true;  // else the pieces go on as they are
};

class frame_compressor {
 public:
  // Takes the bytes in order and, with `chunks`, what an index says of the frames in them; called from one thread of
  // this class's own.
  using sink = std::function<outcome<void>(std::string_view, const std::vector<chunk>&)>;

  static outcome<std::unique_ptr<frame_compressor>> start(const frame_options& options, sink to);
  ~frame_compressor();

  // A failure of the sink comes back from one of the next calls.
  outcome<void> add(const char* data, std::size_t size);
  // With `chunks`: what is added from now on begins a frame, whatever the content says.
  outcome<void> cut();
  // All of it has reached the sink, or there is a failure. An empty input becomes one empty frame.
  outcome<void> finish();

 private:
  struct batch {
    buffer in;
    std::vector<std::size_t> ends;  // of each frame, in `in`
    buffer out;
    std::vector<chunk> chunks;
    bool done = false;
  };
  using batch_ptr = std::shared_ptr<batch>;

  frame_compressor(const frame_options& options, sink to);
  outcome<void> begin_batch();
  outcome<void> end_frame();
  outcome<void> send();
  void compress();
  void drain();
  void fail(failure why);

  frame_options options_;
  sink sink_;
  std::size_t room_in_;  // of a batch
  std::size_t most_;     // batches in flight
  content_chunker chunker_;
  batch_ptr filling_;  // of the caller
  bool any_ = false;
  std::mutex mutex_;
  std::condition_variable room_;
  std::condition_variable todo_there_;
  std::condition_variable ready_;
  std::deque<batch_ptr> todo_;
  std::deque<batch_ptr> order_;
  std::vector<batch_ptr> free_;
  std::size_t in_flight_ = 0;
  bool finished_ = false;
  bool closing_ = false;
  std::optional<failure> failure_;
  std::vector<helper_thread> threads_;
};

}  // namespace hasup::snapshot
