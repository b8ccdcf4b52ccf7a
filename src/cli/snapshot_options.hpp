// The options of `hasup snapshot` on the command line.
#pragma once

#include "cli/invocation.hpp"

namespace CLI {
class App;
}

namespace hasup::cli {

void add_snapshot_options(CLI::App& sub, invocation& into);
// What the parser cannot check by itself: "" = nothing is wrong.
std::string snapshot_usage_problem(const invocation& i);

}  // namespace hasup::cli
