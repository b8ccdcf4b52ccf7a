// Upstreams as text. Pure.
#pragma once

#include <string>
#include <vector>

#include "base/duration.hpp"
#include "cli/terminal.hpp"
#include "control/upstream_status.hpp"

namespace hasup::cli {

std::string render_upstreams(const std::vector<control::upstream_status>& all, base::wall_time now,
                             const terminal& t);

}  // namespace hasup::cli
