// Whom a unit's probe needs or asks through, as the daemon has them, for `hasup probe`.
#pragma once

#include <string>

#include "cli/context.hpp"
#include "control/status.hpp"
#include "model/unit.hpp"
#include "probe/prober.hpp"

namespace hasup::cli {

// Which of what the probe needs is not healthy; "" = all are.
std::string lacking_need(const context& c, const control::host_status& now, const model::unit& unit,
                         const model::probe& probe);

// Adds to the target what is known of the run: its output, and who answers for it. A shim's files are read directly.
void add_run(const context& c, const control::host_status& now, const model::unit& unit, probe::target& whom);

}  // namespace hasup::cli
