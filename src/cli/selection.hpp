// Which instances a person meant.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "config/paths.hpp"

#include "control/status.hpp"

namespace hasup::cli {

// @GROUP -> its units. The status of the daemon knows no groups: they are read from the unit files, as `hasup check`
// does.
using unit_groups = std::map<std::string, std::vector<std::string>>;
unit_groups read_groups(const config::directories& dirs);
// Only when a target is a group: the files are not read for nothing.
unit_groups groups_for(const std::vector<std::string>& targets, const config::directories& dirs);

// Does "miner", "miner@2" or "@evm" mean this instance?
bool means(const std::string& target, const control::instance_status& u, const unit_groups& groups = {});

// Those of `all` that any target means, in their order; targets that mean none come back in `unknown`.
std::vector<control::instance_status> select(const std::vector<control::instance_status>& all,
                                             const std::vector<std::string>& targets,
                                             std::vector<std::string>& unknown, const unit_groups& groups = {});

// "no unit "laep"; did you mean "leap"?"
std::string unknown_unit(const std::string& target, const std::vector<std::string>& names,
                         const unit_groups& groups = {});
// "unit "miner" has no instance 3; it has miner@0 to miner@1"
std::string no_instance(const std::string& unit, unsigned index, std::size_t instances);
std::vector<std::string> unit_names(const std::vector<control::instance_status>& all);

}  // namespace hasup::cli
