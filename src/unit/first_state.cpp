#include "unit/first_state.hpp"

#include <fmt/format.h>

#include "base/joined.hpp"

namespace hasup::unit {

std::string what_is_missing(const model::unit& unit, const state_seen& seen) {
  const auto& dir = unit.data.dir;
  if (!seen.missing.empty()) return dir + " has no " + base::joined(seen.missing);
  if (!seen.there) return dir + " is not there";
  return seen.empty ? dir + " is empty" : "";
}

prepared judge_state(const model::unit& unit, const model::recipe& recipe, bool ever_ran, const state_seen& seen) {
  using verdict = prepared::verdict;
  const auto missing = what_is_missing(unit, seen);
  if (missing.empty()) return {};
  const bool is_first = !ever_ran && (!seen.there || seen.empty);
  if (is_first && recipe.bootstrap == model::bootstrap_mode::empty) return {};
  const auto none = fmt::format("{}: {}", missing, never_from_nothing);
  if (!is_first) return {verdict::needs_recovery, none};
  const bool hold = recipe.bootstrap == model::bootstrap_mode::hold;
  return {hold ? verdict::refused : verdict::needs_recovery, none + "; " + first_state_advice(unit, recipe)};
}

std::string first_state_advice(const model::unit& unit, const model::recipe& recipe) {
  const auto name = shown_name(unit);
  const auto what = recipe.must_exist.empty() ? "its state" : base::joined(recipe.must_exist);
  return fmt::format(
      "for a first start put {} there, or restore it from an archive: `hasup recover {} --from FILE`; to begin with "
      "nothing set bootstrap = \"empty\" under [recovery.params], where recipe {} has the parameter (`hasup help "
      "recipe "
      "{}`), else under [data] of that recipe, then `hasup apply` and `hasup start {}`",
      what, name, recipe.name, recipe.name, name);
}

}  // namespace hasup::unit
