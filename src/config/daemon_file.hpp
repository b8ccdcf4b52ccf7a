// hasup.toml -> daemon_settings.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "config/document.hpp"
#include "config/unit_dir.hpp"

namespace hasup::config {

// The units that there are, and how many instances of each; of a broken one nobody knows.
using known_units = std::map<std::string, std::optional<unsigned>>;

// What does not fit is reported and keeps its default.
daemon_settings parse_daemon_text(const std::string& file, std::string_view text, const known_units& units,
                                  report& findings);

}  // namespace hasup::config
