// Finds the zstd frames of a file that may be torn, have holes or be no archive at all, in a window of bounded size.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <optional>
#include <string_view>
#include <vector>

#include "snapshot/outcome.hpp"

namespace hasup::snapshot {

// Do these bytes begin a frame, or a skippable one?
bool is_frame_magic(const std::array<char, 4>& bytes);

class frame_walk {
 public:
  // Reads up to `size` bytes from `at` on; less only at the end of the file.
  using reader = std::function<outcome<std::size_t>(std::uint64_t at, char* to, std::size_t size)>;
  // Where the next byte that is no hole is, from `at` on; optional.
  using hole_skip = std::function<std::uint64_t(std::uint64_t at)>;

  // Frames of more than `largest` bytes are nobody's: they are stepped over like what is no frame.
  frame_walk(reader read, std::size_t largest, hole_skip skip = {});

  struct frame {
    std::uint64_t at = 0;
    std::string_view bytes;  // until the next call
  };
  // Nothing when the file ends, or when for long nothing in it was a frame. Skippable frames are passed over.
  outcome<std::optional<frame>> next();
  [[nodiscard]] std::uint64_t at() const { return at_; }  // all below it is done

 private:
  outcome<void> fill();
  bool look_further();

  reader read_;
  hole_skip skip_;
  std::size_t largest_;
  std::vector<char> window_;
  std::uint64_t window_at_ = 0;  // of its first byte in the file
  std::size_t filled_ = 0;
  bool ended_ = false;  // the file has nothing behind the window
  std::uint64_t at_ = 0;
  std::uint64_t lost_bytes_ = 0;  // since the last frame
  unsigned lost_ = 0;             // beginnings of frames that were none, since then
};

}  // namespace hasup::snapshot
