// Writes what hasup's env_file reads: KEY=VALUE lines.
#pragma once

#include <string>
#include <string_view>

namespace hasup::migrate {

// Can a line carry it? Not when the value has line breaks or the name would be read otherwise.
bool fits_env_file(std::string_view name, std::string_view value);
// "NAME=value", quoted where blanks or quotes at its ends would be lost.
std::string env_file_line(std::string_view name, std::string_view value);

}  // namespace hasup::migrate
