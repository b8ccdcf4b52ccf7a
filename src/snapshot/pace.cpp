#include "snapshot/pace.hpp"

#include <algorithm>

namespace hasup::snapshot {
namespace {

constexpr std::chrono::milliseconds burst{100};  // what may be made up for after a pause of the host
constexpr std::uint64_t least_buffer = 16U << 10;
constexpr std::uint64_t most_buffer = 512U << 10;

}  // namespace

void pace::add(std::uint64_t bytes, time now) {
  if (rate_ == 0) return;
  const std::chrono::duration<double> worth(static_cast<double>(bytes) / static_cast<double>(rate_));
  free_at_ = std::max(free_at_, now - burst) + std::chrono::duration_cast<time::duration>(worth);
}

std::chrono::milliseconds pace::owed(time now) const {
  if (rate_ == 0 || free_at_ <= now) return std::chrono::milliseconds(0);
  return std::chrono::ceil<std::chrono::milliseconds>(free_at_ - now);
}

long pace::buffer_size(unsigned connections) const {
  if (rate_ == 0) return most_buffer;
  return static_cast<long>(std::clamp(rate_ / 8 / std::max(1U, connections), least_buffer, most_buffer));
}

}  // namespace hasup::snapshot
