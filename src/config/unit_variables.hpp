// The variables of one instance of a unit: [vars], ${unit}, ${instance} and ${data.dir}, filled into its whole tree.
#pragma once

#include <string>

#include "config/document.hpp"

namespace hasup::config {

struct instance_of {
  std::string unit;
  unsigned index = 0;
  unsigned count = 1;
};

// The tree with all variables of this instance filled in; what can't be is reported and marked broken. [vars] itself
// is left as it is.
value fill_variables(const value& root, const instance_of& who, report& findings);

// The same for all instances at once, as TOML that reads back to the same: what depends on ${instance} stays as
// written, the other variables are gone.
value fill_common_variables(const value& root, const instance_of& who);

}  // namespace hasup::config
