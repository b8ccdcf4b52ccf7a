// What libcurl says of a list of commands to an SFTP host. Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace hasup::snapshot {

// The one that `error` ("mkdir command failed: …") is about; "" = none of them, as the host was not asked, or did not
// answer. One that begins with "*" does not fail.
inline std::string failed_command(const std::vector<std::string>& all, std::string_view error) {
  for (const auto& one : all)
    if (error.starts_with(one.substr(0, one.find(' ')) + " command failed")) return one;
  return {};
}

}  // namespace hasup::snapshot
