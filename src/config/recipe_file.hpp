// recipes/NAME.toml -> model::recipe.
#pragma once

#include <map>
#include <optional>
#include <string>

#include "config/document.hpp"
#include "config/probe_section.hpp"
#include "config/unit_file.hpp"
#include "model/recipe.hpp"

namespace hasup::config {

// A recipe file, before its parameters are filled in.
struct recipe_file {
  value root;
  std::map<std::string, parameter> parameters;
};
std::optional<recipe_file> read_recipe(const std::string& name, const place& at, const file_context& context,
                                       report& findings);

// What lacks or does not fit is reported; the answer is usable only when nothing was.
model::recipe apply_recipe(const std::string& name, recipe_file file, const std::map<std::string, std::string>& given,
                           const place& at, report& findings);

}  // namespace hasup::config
