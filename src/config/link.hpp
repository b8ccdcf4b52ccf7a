// Faults that show only where all units are known: unknown units, loops, two writers on one directory.
#pragma once

#include <set>
#include <string>
#include <vector>

#include "config/parsed_unit.hpp"

namespace hasup::config {

// Reports to the units that are concerned, and to no other. `also_known` are names that may be required though they
// are not among `units`.
void link_units(std::vector<parsed_unit>& units, const std::set<std::string>& also_known);

}  // namespace hasup::config
