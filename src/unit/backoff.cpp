#include "unit/backoff.hpp"

#include <algorithm>
#include <cmath>

namespace hasup::unit {

base::duration backoff_delay(const model::restart_policy& policy, unsigned step, double chance) {
  const auto initial = static_cast<double>(policy.backoff_initial.count());
  const auto most = static_cast<double>(policy.backoff_max.count());
  // 64 doublings are beyond any maximum; more would only lose precision.
  double delay = std::min(most, initial * std::pow(policy.backoff_factor, std::min(step, 64U)));
  delay *= 1.0 + policy.backoff_jitter * (2.0 * chance - 1.0);
  return base::duration{std::llround(std::max(0.0, delay))};
}

bool start_limit_hit(const model::restart_policy& policy, std::deque<base::wall_time>& starts, base::wall_time now) {
  if (policy.start_limit_count == 0) return false;
  // A start from the future is a clock that was set back; it must not count for ever.
  while (!starts.empty() && (now - starts.front() > policy.start_limit_within || starts.front() > now))
    starts.pop_front();
  if (starts.size() >= policy.start_limit_count) return true;
  starts.push_back(now);
  return false;
}

}  // namespace hasup::unit
