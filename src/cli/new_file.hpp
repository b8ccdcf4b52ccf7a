// Files that appear whole or not at all, and never in place of another unless that is asked for.
#pragma once

#include <string>
#include <string_view>

#include "base/result.hpp"

namespace hasup::cli {

// Durable after success. Without `overwrite` a file that is there already is an error with code EEXIST.
base::result<void> write_new_file(const std::string& path, std::string_view contents, unsigned mode, bool overwrite);

}  // namespace hasup::cli
