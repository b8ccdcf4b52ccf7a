// hasup.toml -> daemon_settings.
#pragma once

#include <string>
#include <string_view>

#include "config/document.hpp"
#include "config/unit_dir.hpp"

namespace hasup::config {

// What does not fit is reported and keeps its default.
daemon_settings parse_daemon_text(const std::string& file, std::string_view text, report& findings);

}  // namespace hasup::config
