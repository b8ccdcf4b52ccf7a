#include "recovery/milestones.hpp"

#include <algorithm>

namespace hasup::recovery {

bool milestones::is_one(std::string_view phase, std::string_view what, std::uint64_t done,
                        std::optional<std::uint64_t> total, base::mono_time now) {
  if (phase.empty()) return false;
  const bool next = phase != phase_;
  if (next) waits_ = 1;
  if (next || what != what_) tenths_ = 0;
  phase_ = phase;
  what_ = what;
  const bool bounded = total && *total > 0;
  const auto tenths = bounded ? static_cast<std::uint64_t>(10.0 * static_cast<double>(std::min(done, *total)) /
                                                           static_cast<double>(*total))
                              : 0;
  if (!next) {
    const auto since = now - told_;
    if (since < pause_ * static_cast<std::int64_t>(bounded ? 1 : waits_)) return false;
    if (bounded && tenths <= tenths_) return false;
    if (!bounded) waits_ *= 2;
  }
  tenths_ = std::max(tenths_, tenths);
  told_ = now;
  return true;
}

void milestones::reset() {
  *this = milestones(pause_);
}

}  // namespace hasup::recovery
