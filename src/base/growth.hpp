// Whether a number grows, for what must advance within a time. Pure: time is an argument.
#pragma once

#include <algorithm>
#include <chrono>
#include <optional>

#include "base/duration.hpp"

namespace hasup::base {

// Growth goes beyond the highest number seen: of two nodes behind one address, or a head that swings, nothing grows.
// What was not seen again for half of the time (after a fork, a rewind) is forgotten: growth counts from there on.
template <class Number>
struct growth {
  std::optional<Number> highest;
  mono_time seen_at{};  // the highest
  mono_time since{};    // first seen, or last seen to grow
  bool grew = false;    // at least once

  void see(const Number& n, duration within, mono_time now) {
    if (!highest) {
      since = now;
    } else if (*highest < n) {
      since = now;
      grew = true;
    } else if (n < *highest && now - seen_at <= within / 2) {
      return;
    }
    highest = n;
    seen_at = now;
  }

  // For how long it has not grown; 0 or more.
  [[nodiscard]] duration still(mono_time now) const {
    return std::max(std::chrono::duration_cast<duration>(now - since), duration{0});
  }

  friend bool operator==(const growth&, const growth&) = default;
};

}  // namespace hasup::base
