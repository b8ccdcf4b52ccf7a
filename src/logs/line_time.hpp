// The time that a line of a node's own log file begins with, in the forms that nodes, proxies and databases write.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace hasup::logs {

// Nanoseconds since 1970. Looked for near the beginning of the line:
//   2026-11-21T01:02:03.123[Z|+01:00]     without a zone UTC, as nodeos writes it
//   2026-11-21 01:02:03,123               without a zone local time, as most programs write it
//   2026/11/21 01:02:03                   nginx, local time
//   [21/Nov/2026:01:02:03 +0000]          access logs
std::optional<std::int64_t> line_time(std::string_view line);

}  // namespace hasup::logs
