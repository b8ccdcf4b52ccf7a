// One line of a log in the CRI format: "2026-11-21T01:02:03.123456789Z stdout F the text".
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/duration.hpp"

namespace hasup::logs {

struct cri_line {
  std::int64_t time_ns = 0;  // since 1970
  std::string_view time;     // as written
  std::string_view stream;   // stdout, stderr
  bool partial = false;      // P: the line goes on in the next one of this stream
  std::string_view text;
};

// nullopt for what is not such a line.
std::optional<cri_line> parse_cri(std::string_view line);

// For comparisons with time_ns.
std::int64_t to_nanoseconds(base::wall_time t);

}  // namespace hasup::logs
