// Whether a unit with a recipe may start on the state that is there, and what a person can do where there is none: it
// never starts from nothing unless its recipe says so of a unit that never ran. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "model/recipe.hpp"
#include "model/unit.hpp"
#include "unit/event.hpp"

namespace hasup::unit {

// Said of what must exist and does not: with this a recovery that it began says so when it fails.
inline constexpr std::string_view never_from_nothing = "never started from nothing";

// What a look at the data directory has found.
struct state_seen {
  bool there = false;
  bool empty = true;                   // it has no entry that could be of the node; true where it is not there
  std::vector<std::string> missing{};  // of must_exist
};

// What is missing of the state, "/srv/redis has no dump.rdb"; "" = nothing. A directory that is not there, or is
// empty, is no state, whatever must_exist lists.
std::string what_is_missing(const model::unit& unit, const state_seen& seen);

// ready, needs_recovery or refused. `ever_ran`: with data that is gone now, which is never for bootstrap to decide.
prepared judge_state(const model::unit& unit, const model::recipe& recipe, bool ever_ran, const state_seen& seen);

// "for a first start put its state there, or …".
std::string first_state_advice(const model::unit& unit, const model::recipe& recipe);

// Is a directory on the file system `device` (st_dev) elsewhere than it was? Numbers of file systems without a block
// device (tmpfs, btrfs) are other ones at each mount: two of them say nothing.
bool on_another_disk(std::uint64_t device, std::uint64_t before);

// Of one that has run: data.dir is empty or gone now, on another file system than its data was at its last start.
std::string volume_missing(const model::unit& unit);

}  // namespace hasup::unit
