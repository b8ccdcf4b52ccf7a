// One unit file, read by itself, with the places that are needed to find faults among units.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config/document.hpp"
#include "config/unit_file.hpp"

namespace hasup::config {

struct data_use {
  std::string path;  // normal
  unsigned instance = 0;
  place where;
  std::string real = {};  // the path without links, as far as it exists; unit_dir fills it in
};

struct unit_reference_use {
  std::string unit;
  place where;
};

// A unit that a probe asks through, or needs.
struct judged_by_use {
  unit_reference_use who;
  model::probe_role role = model::probe_role::readiness;
  bool through = false;  // else it is needed
};

struct parsed_unit {
  unit_entry entry;
  report findings;                    // becomes entry.problems
  std::vector<std::string> extended;  // files that it extends
  place no_command;                   // with a source: run.command is missing, and this is where to say so
  std::vector<data_use> data;         // data.dir and data.also of every instance, unless shared
  std::vector<unit_reference_use> requires_units;
  std::vector<judged_by_use> judged_by;
  std::optional<unit_reference_use> shared_with;
  std::string recovery_group;  // "" = it is restored by itself
  place recovery_group_place;
  unsigned instances = 1;
};

parsed_unit parse_unit(const std::string& name, const std::string& file, std::string_view text,
                       const file_context& context);

// Says that there is no command, unless another file extends this one and so it is no unit at all.
void report_no_command(parsed_unit& unit);

// Moves the findings into the entry and settles whether it is valid.
unit_entry finish(parsed_unit unit);

}  // namespace hasup::config
