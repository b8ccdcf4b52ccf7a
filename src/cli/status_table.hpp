// The table of `hasup status`, the details of one unit, and the bar of a running recovery. Pure.
#pragma once

#include <string>
#include <vector>

#include "base/duration.hpp"
#include "cli/terminal.hpp"
#include "control/status.hpp"

namespace hasup::cli {

// Fits the terminal: when there is too little room for the reason, the least important columns go first (cpu, memory,
// restarts, uptime, age, head), and only then is the reason cut. A running recovery adds a line with its progress.
std::string render_table(const std::vector<control::instance_status>& units, base::wall_time now, const terminal& t);

// "SIGKILL in 9m48s" of a unit that is stopping and will be killed if it has not ended by then; else empty.
std::string kill_text(const control::instance_status& u, base::wall_time now);
// Everything that is known of one instance, one thing a line.
std::string render_details(const control::instance_status& u, base::wall_time now, const terminal& t);

// "fetch  [#####-----]  48%  4.1GiB of 8.5GiB, 210MiB/s, 21s left, 20s so far  snapshot-….bin.zst"
std::string render_progress(const control::recovery_status& r, base::wall_time now, const terminal& t);

// Running and healthy, or completed: what `hasup status UNIT` exits with 0 for.
bool is_fine(const control::instance_status& u);

style style_of(const control::instance_status& u);

}  // namespace hasup::cli
