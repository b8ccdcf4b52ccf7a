// What a recovery does next, in words for a person (`hasup why`). Pure.
#pragma once

#include <string>
#include <vector>

#include "recovery/state.hpp"

namespace hasup::recovery {

// "now: s2 is fetched and verified; then: it is unpacked, …; if that fails, …". "" when none is under way. `returns`:
// a recovery that fails with the old state as it was has the node started on that.
std::string what_comes_next(const state& s, bool returns);

// The commands that help where none is under way and the unit has failed: which of them depends on what is remembered
// of earlier recoveries.
std::vector<std::string> ways_to_recover(const model::unit& unit, const memory& m, base::wall_time now);

}  // namespace hasup::recovery
