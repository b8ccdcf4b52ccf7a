// What a run of the daemon needs: what start/launch.hpp finds, and the unit's cgroup.
#pragma once

#include "process/cgroup.hpp"
#include "start/launch.hpp"

namespace hasup::daemon {

using start::data_dirs_of;
using start::environment_of;
using start::fill_command;
using start::launch;
using start::make_run_request;
using start::parse_env_file;
using start::program_options_of;

// Blocks, see start::prepare_launch. With a cgroup tree also the unit's leaf with its limits.
base::result<launch> prepare_launch(const model::unit& unit, const process::cgroup_tree* cgroups);

}  // namespace hasup::daemon
