// Numbers in JSON texts as people and simple programs read them.
#pragma once

#include <string>
#include <string_view>

namespace hasup::base {

// Boost.JSON writes every number with a fraction as 4.0467E0: the same text with plain decimals, 4.0467, and 512.0
// for a whole one. What would get too long that way (1e21 and beyond, below 1e-7) stays. `json` must be well-formed.
std::string plain_numbers(std::string_view json);

}  // namespace hasup::base
