// What a person can do about a unit whose state is not there yet, when its recipe never starts from nothing. Pure.
#pragma once

#include <string>
#include <string_view>

#include "model/recipe.hpp"
#include "model/unit.hpp"

namespace hasup::unit {

// Said of what must exist and does not: with this a recovery that it began says so when it fails.
inline constexpr std::string_view never_from_nothing = "never started from nothing";

// "for a first start bring its state with `hasup recover redis --from FILE`, or …"; `missing`: of must_exist.
std::string first_state_advice(const model::unit& unit, const model::recipe& recipe, const std::string& missing);

}  // namespace hasup::unit
