// The variables of one instance of a unit: [vars], ${unit}, ${instance} and ${data.dir}, filled into its whole tree.
#pragma once

#include <map>
#include <set>
#include <string>

#include "config/document.hpp"

namespace hasup::config {

struct instance_of {
  std::string unit;
  unsigned index = 0;
  unsigned count = 1;
};

// What ${upstream.NAME.KEY} is, by "upstream.NAME.KEY".
struct upstream_values {
  std::map<std::string, std::string> chosen;  // of one endpoint
  std::map<std::string, std::string> of_all;  // of all endpoints, whichever is chosen
  std::set<std::string> of_addresses;         // those of them that differ by the addresses of a DNS name
  std::set<std::string> failed;               // what is wrong with them has been said
};

// The tree with all variables of this instance filled in; what can't be is reported and marked broken. [vars] itself
// and [upstream] are left as they are.
value fill_variables(const value& root, const instance_of& who, const upstream_values& upstreams, report& findings);

// The same for all instances at once, as TOML that reads back to the same: what depends on ${instance} or on
// a choice stays as written, the other variables are gone.
value fill_common_variables(const value& root, const instance_of& who, const upstream_values& upstreams);

}  // namespace hasup::config
