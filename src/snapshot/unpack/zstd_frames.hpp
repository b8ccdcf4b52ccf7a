// Which zstd frames lie whole in a piece of a file, so that they can be decompressed apart from the others. Pure.
#pragma once

#include <cstddef>
#include <cstdint>

namespace hasup::snapshot {

struct frame_limits {
  std::uint64_t window = std::uint64_t{1} << 31U;  // largest that a frame may declare
  std::uint64_t batch = 4U << 20;                  // small frames are put together up to so many decompressed bytes
};

struct frame_run {
  enum class stop {
    batch_full,  // or the piece ends with a frame
    incomplete,  // the next frame does not end in this piece
    unknown,     // what follows is no frame, or a damaged one
    too_wide,    // the next frame needs `window`
  };
  std::size_t bytes = 0;           // of the whole frames at the piece's start
  std::uint64_t decompressed = 0;  // at most
  std::uint64_t widest = 0;        // the largest window of them
  stop why = stop::batch_full;
  std::uint64_t window = 0;     // of the frame after them, as far as it is known
  std::uint64_t announced = 0;  // its decompressed size, if it says so
};

frame_run find_frames(const char* data, std::size_t size, const frame_limits& limits);

// Whether `data` begins with a frame, perhaps after skippable ones, that needs no larger window than `window`, and
// that says that it is larger than `smallest` when decompressed, or does not say it.
bool is_large_frame(const char* data, std::size_t size, std::uint64_t window, std::uint64_t smallest);

// zstd's own frames and the skippable ones that some tools put in front. `data` has 4 bytes.
bool is_zstd(const char* data);

}  // namespace hasup::snapshot
