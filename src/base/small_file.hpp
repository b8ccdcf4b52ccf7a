// A small text file by its path: checksums, credentials, headers, environment files.
#pragma once

#include <string>

#include "base/result.hpp"

namespace hasup::base {

// All of it; an error that names the path when it is not there (`code` ENOENT), is no ordinary file, or is longer.
result<std::string> read_small_file(const std::string& path, std::size_t limit);

}  // namespace hasup::base
