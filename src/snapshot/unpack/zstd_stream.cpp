#include "snapshot/unpack/zstd_stream.hpp"

#include <zstd.h>

#include <fstream>
#include <new>
#include <string>

namespace hasup::snapshot {
namespace {

failure damaged(const char* why) {
  return {ports::worker_failure::bad_snapshot, why};
}

}  // namespace

void zstd_closer::operator()(ZSTD_DCtx_s* c) const {
  ZSTD_freeDCtx(c);
}

outcome<void> room_for_window(std::uint64_t window) {
  if (window < (64U << 20)) return {};
  std::ifstream in("/proc/meminfo");
  for (std::string word; in >> word;) {
    if (word != "MemAvailable:") continue;
    std::uint64_t kib = 0;
    if (!(in >> kib) || kib * 1024 > window + window / 8) return {};
    return refusal("needs a window of " + base::format_byte_size(window) + " of memory, but only " +
                   base::format_byte_size(kib * 1024) +
                   " are available; make room, or compress with a smaller --long");
  }
  return {};
}

std::optional<std::uint64_t> stream_frames(zstd_context& context, block_queue& input, block_queue& output,
                                           const std::function<bool(std::string_view)>& goes_on) {
  if (!context) context.reset(ZSTD_createDCtx());
  if (!context) throw std::bad_alloc();
  ZSTD_DCtx_reset(context.get(), ZSTD_reset_session_only);
  ZSTD_DCtx_setParameter(context.get(), ZSTD_d_windowLogMax, ZSTD_dParam_getBounds(ZSTD_d_windowLogMax).upperBound);
  std::optional<buffer> from;
  ZSTD_inBuffer in{nullptr, 0, 0};
  auto to = output.to_fill();
  bool inside = false;  // more may be waiting inside without further input
  while (to) {
    if (in.pos == in.size && !inside) {
      if (from) input.give_back(std::move(*from));
      auto block = input.pop();
      if (!block || !*block) {
        output.fail(block ? damaged("the zstd data is cut off") : block.error());
        return std::nullopt;
      }
      from = std::move(*block);
      in = {from->data.get(), from->filled, 0};
    }
    ZSTD_outBuffer out{to->data.get(), to->capacity, to->filled};
    const auto left = ZSTD_decompressStream(context.get(), &out, &in);
    if (ZSTD_isError(left) != 0U) {
      output.fail(damaged(ZSTD_getErrorName(left)));
      return std::nullopt;
    }
    to->filled = out.pos;
    inside = out.pos == out.size && left != 0;
    const bool ends = left == 0 && !goes_on({from->data.get() + in.pos, in.size - in.pos});
    if (ends || out.pos == out.size) {
      if (out.pos > 0 && !output.push(std::move(*to))) return std::nullopt;
      if (ends) {
        output.finish();
        return from->offset + in.pos;
      }
      to = output.to_fill();
    }
  }
  return std::nullopt;
}

}  // namespace hasup::snapshot
