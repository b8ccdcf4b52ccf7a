// The pages of docs/man that are made from the tables of keys.
#pragma once

#include <string>

namespace hasup::cli {

std::string unit_manual();      // hasup-unit.5
std::string upstream_manual();  // hasup-upstream.5
std::string recipe_manual();    // hasup-recipe.5
std::string probe_manual();     // hasup-probe.5

}  // namespace hasup::cli
