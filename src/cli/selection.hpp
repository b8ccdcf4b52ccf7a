// Which instances a person meant.
#pragma once

#include <string>
#include <vector>

#include "control/status.hpp"

namespace hasup::cli {

// Does "miner" or "miner@2" mean this instance?
bool means(const std::string& target, const control::instance_status& u);

// Those of `all` that any target means, in their order; targets that mean none come back in `unknown`.
std::vector<control::instance_status> select(const std::vector<control::instance_status>& all,
                                             const std::vector<std::string>& targets,
                                             std::vector<std::string>& unknown);

// "no unit "laep"; did you mean "leap"?"
std::string unknown_unit(const std::string& target, const std::vector<std::string>& names);
std::vector<std::string> unit_names(const std::vector<control::instance_status>& all);

}  // namespace hasup::cli
