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
      "nothing: `hasup start {} --from-nothing`",
      what, name, name);
}

namespace {

// As gnu_dev_major() of the C library; 0 = no block device.
std::uint64_t major_of(std::uint64_t device) {
  return ((device >> 8U) & 0xfffU) | ((device >> 32U) & ~std::uint64_t{0xfff});
}

}  // namespace

bool on_another_disk(std::uint64_t device, std::uint64_t before) {
  if (device == 0 || before == 0 || device == before) return false;
  return major_of(device) != 0 || major_of(before) != 0;
}

std::string volume_missing(const model::unit& unit) {
  return fmt::format(
      "{} has nothing in it and is not on the file system that its data was on at its last start: waiting for its "
      "volume to be mounted; if that is gone for good, `hasup reset {}` lets it {}",
      unit.data.dir, shown_name(unit), unit.has_recovery() ? "be restored here" : "begin here with nothing");
}

}  // namespace hasup::unit
