// RFC 3339 in UTC, for files, JSON and logs.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/duration.hpp"
#include "base/result.hpp"

namespace hasup::base {

// "2026-11-21T01:02:03Z", or with milliseconds "2026-11-21T01:02:03.500Z".
std::string format_time(wall_time t, bool with_milliseconds = false);

// Accepts a fraction of any length, an offset or Z; without a zone the time is UTC, as nodeos writes it.
result<wall_time> parse_time(std::string_view text);

}  // namespace hasup::base
