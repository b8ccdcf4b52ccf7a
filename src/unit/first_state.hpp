// What a person can do about a unit whose state is not there yet, when its recipe never starts from nothing. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "model/recipe.hpp"
#include "model/unit.hpp"

namespace hasup::unit {

// Said of what must exist and does not: with this a recovery that it began says so when it fails.
inline constexpr std::string_view never_from_nothing = "never started from nothing";

// "for a first start bring its state with `hasup recover redis --from FILE`, or …"; `missing`: of must_exist.
std::string first_state_advice(const model::unit& unit, const model::recipe& recipe, const std::string& missing);

// Is a directory on the file system `device` (st_dev) elsewhere than it was? Numbers of file systems without a block
// device (tmpfs, btrfs) are other ones at each mount: two of them say nothing.
bool on_another_disk(std::uint64_t device, std::uint64_t before);

// Of one that has run: data.dir is empty or gone now, on another file system than its data was at its last start.
std::string volume_missing(const model::unit& unit);

}  // namespace hasup::unit
