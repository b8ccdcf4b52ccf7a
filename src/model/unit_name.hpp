// Names of units and their instances: "leap", "miner@2".
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace hasup::model {

// [a-z0-9][a-z0-9._-]*, at most 64 bytes. Such a name is safe as a file name.
bool is_unit_name(std::string_view text);

struct instance_id {
  std::string unit;
  unsigned index = 0;

  friend auto operator<=>(const instance_id&, const instance_id&) = default;
};

// "leap@0": the form used for claims, records, sockets and logs of units with several instances.
std::string to_text(const instance_id& id);

// What a person typed: "miner" (all instances) or "miner@2" (one).
struct unit_reference {
  std::string unit;
  std::optional<unsigned> index;
};
std::optional<unit_reference> parse_unit_reference(std::string_view text);

}  // namespace hasup::model
