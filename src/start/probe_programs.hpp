// How the program of an exec check is run: as the unit's user, with its environment, in its directory. For the daemon
// and for `hasup probe`.
#pragma once

#include "model/unit.hpp"
#include "probe/prober.hpp"
#include "start/launch.hpp"

namespace boost::asio {
class io_context;
}

namespace hasup::start {

// `main_pid` is the caller's to add.
probe::target probe_target_of(const model::unit& unit, const launch& from);

probe::exec_runner run_probe_programs(boost::asio::io_context& io);

}  // namespace hasup::start
