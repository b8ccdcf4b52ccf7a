// [run]: how the node is run, and as whom.
#pragma once

#include "config/section.hpp"
#include "model/unit.hpp"

namespace hasup::config {

// Of a table that check_schema has passed over; what it finds is reported.
void read_run(const section& s, model::run_spec& out);

}  // namespace hasup::config
