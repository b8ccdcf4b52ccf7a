// Which paths and links of an archive may be unpacked. Pure.
#pragma once

#include <string>
#include <string_view>

#include "base/result.hpp"

namespace hasup::snapshot {

// "./a//b/" -> "a/b"; "" for the root itself. Absolute paths, "..", .hasup anywhere and in any spelling that a file
// system may take for it, over-long names and control bytes are errors that say which.
base::result<std::string> clean_entry_path(std::string_view raw);

// Whether a symbolic link at `path` (clean) with this target stays below the root, read as text.
bool link_stays_inside(std::string_view path, std::string_view target);

// "a.bin.zst" -> "a.bin"; a name without a known suffix stays.
std::string without_compression_suffix(std::string_view name);

}  // namespace hasup::snapshot
