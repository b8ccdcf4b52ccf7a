// Durations as people write them: "250ms", "10s", "5m", "1h30m", "7d". Milliseconds are the smallest unit.
#pragma once

#include <chrono>
#include <string>
#include <string_view>

#include "base/result.hpp"

namespace hasup::base {

using duration = std::chrono::milliseconds;
using mono_time = std::chrono::steady_clock::time_point;  // for deadlines within one boot
using wall_time = std::chrono::system_clock::time_point;  // for what people and files see

// Accepts one or more of NUMBER UNIT with unit ms, s, m, h, d, w in falling order; the number may have a fraction.
// Negative, empty, unit-less ("10") and overlong (> 100 years) input is an error that says what is accepted.
result<duration> parse_duration(std::string_view text);

// The shortest exact form that parse_duration reads: 90 s -> "1m30s", 1500 ms -> "1s500ms", 0 -> "0s".
std::string format_duration(duration d);

// For a sentence, rounded: "250ms", "1.1s", "12s", "3m5s", "0s". What a person wrote is told as he wrote it: above.
std::string format_duration_rounded(duration d);

// For tables: at most two units, rounded down: "3d4h", "12m5s", "0s".
std::string format_duration_short(duration d);

}  // namespace hasup::base
