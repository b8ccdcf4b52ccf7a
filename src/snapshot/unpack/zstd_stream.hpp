// Decompresses zstd frames of any size, block by block.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string_view>

#include "snapshot/unpack/block_queue.hpp"

struct ZSTD_DCtx_s;

namespace hasup::snapshot {

struct zstd_closer {
  void operator()(ZSTD_DCtx_s* c) const;
};
using zstd_context = std::unique_ptr<ZSTD_DCtx_s, zstd_closer>;

// A window that would push the machine into its last memory takes the node next door with it.
outcome<void> room_for_window(std::uint64_t window);

// One frame, and those after it that `goes_on` wants when it sees how they begin. Where the next one begins; nothing
// when one is damaged, which `output` says, or is not wanted any more.
std::optional<std::uint64_t> stream_frames(zstd_context& context, block_queue& input, block_queue& output,
                                           const std::function<bool(std::string_view)>& goes_on);

}  // namespace hasup::snapshot
