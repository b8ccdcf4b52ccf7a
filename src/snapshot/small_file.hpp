// A small text file by its path: checksums, credentials, headers.
#pragma once

#include <string>

#include "base/result.hpp"

namespace hasup::snapshot {

// All of it; an error that names the path when it is not there (`code` ENOENT), is no ordinary file, or is longer.
base::result<std::string> read_small_file(const std::string& path, std::size_t limit);

}  // namespace hasup::snapshot
