// Decompresses one zstd frame of any size, block by block.
#pragma once

#include <memory>
#include <optional>

#include "snapshot/unpack/block_queue.hpp"

struct ZSTD_DCtx_s;

namespace hasup::snapshot {

struct zstd_closer {
  void operator()(ZSTD_DCtx_s* c) const;
};
using zstd_context = std::unique_ptr<ZSTD_DCtx_s, zstd_closer>;

// A window that would push the machine into its last memory takes the node next door with it.
outcome<void> room_for_window(std::uint64_t window);

// Where the next frame begins; nothing when this one is damaged, which `output` says, or is not wanted any more.
std::optional<std::uint64_t> stream_frame(zstd_context& context, block_queue& input, block_queue& output);

}  // namespace hasup::snapshot
