#include "unit/memory_guard.hpp"

#include "base/byte_size.hpp"

namespace hasup::unit {

std::optional<std::string> memory_guard::observe(std::uint64_t used, std::uint64_t limit, base::mono_time now) {
  if (limit == 0 || used <= limit) {
    above_since_.reset();
    return std::nullopt;
  }
  if (!above_since_) above_since_ = now;
  if (now - *above_since_ < memory_patience) return std::nullopt;
  above_since_.reset();
  return "uses " + base::format_byte_size(used) + " of anonymous and shared memory, memory_restart is " +
         base::format_byte_size(limit);
}

}  // namespace hasup::unit
