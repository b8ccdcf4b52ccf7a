// Bytes a second as people write them: "200MiB/s"; a bare size is that of one second.
#pragma once

#include "base/byte_size.hpp"

namespace hasup::base {

inline result<std::uint64_t> parse_byte_rate(std::string_view text) {
  if (text.ends_with("/s")) text.remove_suffix(2);
  return parse_byte_size(text);
}

}  // namespace hasup::base
