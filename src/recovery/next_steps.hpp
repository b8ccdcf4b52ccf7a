// What a recovery does next, in words for a person (`hasup why`). Pure.
#pragma once

#include <string>

#include "recovery/state.hpp"

namespace hasup::recovery {

// "now: s2 is fetched and verified; then: it is unpacked, …; if that fails, …". "" when none is under way. `returns`:
// a recovery that fails with the old state as it was has the node started on that.
std::string what_comes_next(const state& s, bool returns);

}  // namespace hasup::recovery
