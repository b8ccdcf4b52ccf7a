#include "snapshot/unpack/zstd_frames.hpp"

#define ZSTD_STATIC_LINKING_ONLY  // frame headers and bounds
#include <zstd.h>
#include <zstd_errors.h>

#include <algorithm>
#include <cstring>

namespace hasup::snapshot {

bool is_zstd(const char* data) {
  std::uint32_t magic = 0;
  std::memcpy(&magic, data, sizeof magic);  // both kinds of machine are little-endian
  return magic == ZSTD_MAGICNUMBER || (magic & ZSTD_MAGIC_SKIPPABLE_MASK) == ZSTD_MAGIC_SKIPPABLE_START;
}

bool is_large_frame(const char* data, std::size_t size, std::uint64_t window, std::uint64_t smallest) {
  ZSTD_frameHeader header{};
  while (ZSTD_getFrameHeader(&header, data, size) == 0) {
    if (header.frameType == ZSTD_frame)
      return header.windowSize <= window && header.frameContentSize > smallest;  // unknown is the largest number
    const auto length = ZSTD_SKIPPABLEHEADERSIZE + header.frameContentSize;
    if (length >= size) return false;
    data += length;
    size -= length;
  }
  return false;
}

frame_run find_frames(const char* data, std::size_t size, const frame_limits& limits) {
  frame_run run;
  while (run.bytes < size) {
    const char* at = data + run.bytes;
    const auto left = size - run.bytes;
    ZSTD_frameHeader header{};
    const auto more = ZSTD_getFrameHeader(&header, at, left);
    run.window = run.announced = 0;
    if (ZSTD_isError(more) != 0U) {
      run.why = frame_run::stop::unknown;
      return run;
    }
    if (more == 0 && header.frameType == ZSTD_frame) {
      run.window = header.windowSize;
      if (header.frameContentSize != ZSTD_CONTENTSIZE_UNKNOWN) run.announced = header.frameContentSize;
      if (header.windowSize > limits.window) {
        run.why = frame_run::stop::too_wide;
        return run;
      }
    }
    const auto length = more == 0 ? ZSTD_findFrameCompressedSize(at, left) : 0;
    if (more != 0 || ZSTD_getErrorCode(length) == ZSTD_error_srcSize_wrong) {
      run.why = frame_run::stop::incomplete;
      return run;
    }
    const auto bound = ZSTD_isError(length) != 0U ? ZSTD_CONTENTSIZE_ERROR : ZSTD_decompressBound(at, length);
    if (bound == ZSTD_CONTENTSIZE_ERROR) {
      run.why = frame_run::stop::unknown;
      return run;
    }
    run.why = frame_run::stop::batch_full;
    if (run.bytes > 0 && (bound > limits.batch || run.decompressed + bound > limits.batch)) return run;
    run.widest = std::max(run.widest, run.window);
    run.bytes += length;
    run.decompressed += bound;
  }
  return run;
}

}  // namespace hasup::snapshot
