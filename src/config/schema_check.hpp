// Holds a tree against the table of keys: unknown keys, wrong types, bad values, keys that do not work yet.
#pragma once

#include <map>
#include <set>
#include <span>
#include <string>

#include "config/document.hpp"
#include "config/schema.hpp"

namespace hasup::config {

// Keys allowed beside those of the table: "readiness" -> parameters of its preset.
using extra_keys = std::map<std::string, std::set<std::string>, std::less<>>;

// Reports everything at once and marks what it reported as broken, so that nothing is said twice. `all_extras` holds
// paths where any further key passes, because the names that may stand there could not be found out.
struct schema_options {
  extra_keys extras;
  std::set<std::string, std::less<>> open_paths;
};
void check_schema(value& root, std::span<const key> keys, const schema_options& options, report& findings);

}  // namespace hasup::config
