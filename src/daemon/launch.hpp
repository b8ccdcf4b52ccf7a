// What a run of the daemon needs: what start/launch.hpp finds, and the unit's cgroup.
#pragma once

#include <optional>

#include "process/cgroup.hpp"
#include "start/launch.hpp"

namespace hasup::daemon {

using start::data_dirs_of;
using start::environment_of;
using start::fill_command;
using start::launch;
using start::log_of;
using start::make_run_request;
using start::parse_env_file;

// Blocks, see start::prepare_launch. With a cgroup tree also the unit's leaf with its limits.
base::result<launch> prepare_launch(const model::unit& unit, const process::cgroup_tree* cgroups);

// The same without asking anybody, for a unit that runs as the daemon's own user, without env files and cgroups; null
// when the disk thread must ask. `last`: an earlier launch of this daemon, which has found that user.
std::optional<launch> launch_again(const launch& last, const model::unit& unit, const process::cgroup_tree* cgroups);

}  // namespace hasup::daemon
