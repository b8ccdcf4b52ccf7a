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
