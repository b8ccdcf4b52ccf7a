// Texts one after the other, for messages.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace hasup::base {

// "a, b, c"; "" of none.
inline std::string joined(const std::vector<std::string>& parts, std::string_view between = ", ") {
  std::string out;
  for (const auto& p : parts) {
    if (!out.empty()) out += between;
    out += p;
  }
  return out;
}

}  // namespace hasup::base
