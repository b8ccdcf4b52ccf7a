// What a start on this machine would stumble over: programs, users and directories that are not there.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "config/unit_dir.hpp"

namespace hasup::cli {

// Called with the table and the key of the unit file, and what is wrong.
using launch_warning = std::function<void(std::string_view table, std::string_view key, const std::string& message)>;

// What cannot be looked at is passed over.
void check_launch(const model::unit& unit, const launch_warning& warn);

}  // namespace hasup::cli
