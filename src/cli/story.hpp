// The story of a unit as text. Pure.
#pragma once

#include <string>

#include "base/duration.hpp"
#include "cli/terminal.hpp"
#include "control/why.hpp"

namespace hasup::cli {

std::string render_story(const control::why_report& w, base::wall_time now, const terminal& t);

}  // namespace hasup::cli
