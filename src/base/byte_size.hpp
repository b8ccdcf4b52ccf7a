// Byte sizes as people write them: "512", "64KiB", "1.5GiB", "200MB".
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.hpp"

namespace hasup::base {

// Units: B, KiB, MiB, GiB, TiB (powers of 1024), KB, MB, GB, TB (powers of 1000), none = bytes.
result<std::uint64_t> parse_byte_size(std::string_view text);

// Three significant digits with a binary unit: 1536 -> "1.5KiB".
std::string format_byte_size(std::uint64_t bytes);

}  // namespace hasup::base
