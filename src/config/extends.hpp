// A unit file together with the files that it extends, as one tree.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config/document.hpp"
#include "config/unit_file.hpp"

namespace hasup::config {

struct merged_unit {
  value root;                         // without `extends`; run.append stands at the end of run.command
  std::vector<std::string> extended;  // paths of the files that went into it, nearest first
};

// Tables merge, all other values (arrays too) are replaced by the extending file's. A file may extend one of its own
// name when that is another file: units/leap.toml can extend the shipped leap.toml. Nothing when a file is missing,
// unreadable or extends itself; that is reported.
std::optional<merged_unit> read_merged(const std::string& file, std::string_view text, const file_context& context,
                                       report& findings);

}  // namespace hasup::config
