// No more than so many bytes a second, over all connections. Pure: the time is an argument.
#pragma once

#include <chrono>
#include <cstdint>

namespace hasup::snapshot {

class pace {
 public:
  using time = std::chrono::steady_clock::time_point;

  explicit pace(std::uint64_t bytes_per_s = 0) : rate_(bytes_per_s) {}  // 0 = any

  void add(std::uint64_t bytes, time now);
  // How long to take no more bytes.
  [[nodiscard]] std::chrono::milliseconds owed(time now) const;
  // How much to take at once, so that the pauses stay short.
  [[nodiscard]] long buffer_size(unsigned connections) const;

 private:
  std::uint64_t rate_;
  time free_at_{};
};

}  // namespace hasup::snapshot
