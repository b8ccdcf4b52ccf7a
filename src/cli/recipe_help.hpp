// `hasup help recipe [NAME]`, `hasup help preset [NAME]` and the recipes in `hasup help`: what is there, own and
// shipped.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "config/paths.hpp"

namespace hasup::cli {

// Behind what the command line says to `arguments`; "" = nothing. Reads the recipes or presets.
std::string recipes_text(const std::vector<std::string>& arguments, const config::directories& dirs);

// The file of `hasup help recipe NAME` or `preset NAME`; nothing when these are other words, or there is no such
// file.
std::optional<std::string> one_recipe(const std::vector<std::string>& arguments, const config::directories& dirs);

}  // namespace hasup::cli
