// run.limits.memory_restart: has the memory been too much for long enough? Pure; the daemon samples and tells.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/duration.hpp"

namespace hasup::unit {

// A peak is no leak: so long it must stay above.
inline constexpr base::duration memory_patience{30'000};

class memory_guard {
 public:
  // `used`: anonymous and shared memory of the whole tree; limit 0: none. The reason for a restart when every sample
  // of the last 30 s was above the limit; afterwards it begins anew.
  std::optional<std::string> observe(std::uint64_t used, std::uint64_t limit, base::mono_time now);
  // Another run.
  void reset() { above_since_.reset(); }

 private:
  std::optional<base::mono_time> above_since_;
};

}  // namespace hasup::unit
