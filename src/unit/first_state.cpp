#include "unit/first_state.hpp"

#include <fmt/format.h>

namespace hasup::unit {

std::string first_state_advice(const model::unit& unit, const model::recipe& recipe, const std::string& missing) {
  const auto name = shown_name(unit);
  auto text = fmt::format(
      "for a first start put {} there, or restore it from an archive: `hasup recover {} --from FILE`", missing, name);
  return text + fmt::format(
                    "; to begin with nothing, where recipe {} has the parameter (`hasup help recipe {}`), set "
                    "bootstrap = \"empty\" under [recovery.params], then `hasup apply` and `hasup start {}`",
                    recipe.name, recipe.name, name);
}

}  // namespace hasup::unit
