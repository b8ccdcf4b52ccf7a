// How long to wait before the next start, and when to give up.
#pragma once

#include <deque>

#include "base/duration.hpp"
#include "model/unit.hpp"

namespace hasup::unit {

// initial * factor^step, at most max; chance in [0, 1) moves it within ±jitter of itself.
base::duration backoff_delay(const model::restart_policy& policy, unsigned step, double chance);

// Drops the starts older than the window, adds `now` and says whether the limit is now exceeded.
bool start_limit_hit(const model::restart_policy& policy, std::deque<base::wall_time>& starts, base::wall_time now);

// A unit that was healthy this long begins with backoff_initial again.
inline constexpr base::duration backoff_reset_after{60'000};

}  // namespace hasup::unit
