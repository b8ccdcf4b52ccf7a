// What is wrong with a configuration on this machine, now: for `hasup check` and `hasup apply`, which may wait for a
// disk. The files themselves are checked in config/.
#pragma once

#include <set>
#include <string>

#include "base/diagnostic.hpp"
#include "config/unit_dir.hpp"

namespace hasup::cli {

// Warnings, in the order of the units: data.min_free is more than is free, data.dir is a volume that data.mount does
// not name, what a recovery would replace cannot be renamed, and a state that must exist is not there and nothing
// will bring it; and of all units programs, users and directories that are not there. `only`: these units; empty =
// all.
base::diagnostics machine_warnings(const config::loaded& all, const std::set<std::string>& only = {});

}  // namespace hasup::cli
