#include "snapshot/delta/frame_walk.hpp"

#define ZSTD_STATIC_LINKING_ONLY  // the magic numbers
#include <zstd.h>

#include <algorithm>
#include <array>
#include <cstring>

namespace hasup::snapshot {
namespace {

constexpr std::size_t header = 8;                      // of a skippable frame
constexpr std::size_t read_at_least = 1U << 20U;       // ahead of the largest frame
constexpr std::uint64_t most_lost_bytes = 64U << 20U;  // then the file is not made of such frames
constexpr unsigned most_lost = 4096;
constexpr std::array<char, 4> magic{'\x28', '\xB5', '\x2F', '\xFD'};

std::uint32_t word(const char* data) {
  std::uint32_t out = 0;
  std::memcpy(&out, data, sizeof out);  // both kinds of machine are little-endian
  return out;
}

bool is_skippable(std::uint32_t first) {
  return (first & ZSTD_MAGIC_SKIPPABLE_MASK) == ZSTD_MAGIC_SKIPPABLE_START;
}

}  // namespace

bool is_frame_magic(const std::array<char, 4>& bytes) {
  return word(bytes.data()) == ZSTD_MAGICNUMBER || is_skippable(word(bytes.data()));
}

frame_walk::frame_walk(reader read, std::size_t largest, hole_skip skip)
    : read_(std::move(read)), skip_(std::move(skip)), largest_(largest), window_(largest + read_at_least) {}

// From at_ on as much as fits, unless the largest frame would fit into what is there.
outcome<void> frame_walk::fill() {
  const bool inside = at_ >= window_at_ && at_ <= window_at_ + filled_;
  const auto rest = inside ? static_cast<std::size_t>(window_at_ + filled_ - at_) : 0;
  if (inside && (ended_ || (rest >= largest_ && rest >= header))) return {};
  if (rest > 0) std::memmove(window_.data(), window_.data() + (filled_ - rest), rest);
  window_at_ = at_;
  filled_ = rest;
  auto got = read_(window_at_ + filled_, window_.data() + filled_, window_.size() - filled_);
  if (!got) return got.error();
  ended_ = *got < window_.size() - filled_;
  filled_ += *got;
  return {};
}

// Where a frame may begin behind at_; false when there is little hope of another one.
bool frame_walk::look_further() {
  if (++lost_ > most_lost || lost_bytes_ > most_lost_bytes) return false;
  const auto from = at_ + 1;
  if (skip_ && word(window_.data() + (at_ - window_at_)) == 0) {
    const auto data = skip_(at_);
    if (data > from) {
      at_ = data;
      return true;
    }
  }
  const auto* begin = window_.data() + (from - window_at_);
  const auto* end = window_.data() + filled_;
  const auto* found = std::search(begin, end, magic.begin(), magic.end());
  const auto next = found == end ? std::max(from, window_at_ + filled_ - std::min(filled_, magic.size() - 1))
                                 : window_at_ + static_cast<std::uint64_t>(found - window_.data());
  lost_bytes_ += next - at_;
  if (found == end) --lost_;  // no beginning was tried
  at_ = next;
  return true;
}

outcome<std::optional<frame_walk::frame>> frame_walk::next() {
  const std::optional<frame> none;
  while (true) {
    if (auto filled = fill(); !filled) return filled.error();
    const auto* here = window_.data() + (at_ - window_at_);
    const auto rest = static_cast<std::size_t>(window_at_ + filled_ - at_);
    if (rest < header) return none;
    if (is_skippable(word(here))) {
      at_ += header + word(here + 4);
      continue;
    }
    const auto size = word(here) == ZSTD_MAGICNUMBER ? ZSTD_findFrameCompressedSize(here, rest) : 0;
    if (size == 0 || ZSTD_isError(size) != 0U || size > largest_) {
      if (!look_further()) return none;
      continue;
    }
    const frame out{at_, {here, size}};
    at_ += size;
    lost_ = 0;
    lost_bytes_ = 0;
    return std::optional<frame>(out);
  }
}

}  // namespace hasup::snapshot
