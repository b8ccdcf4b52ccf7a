// [recovery.reference] -> model::reference_policy; the [reference] of a probe -> model::probe_reference.
#pragma once

#include <optional>

#include "config/probe_section.hpp"
#include "model/unit.hpp"

namespace hasup::config {

// `table` with all variables filled in and checked against the schema; `preset` is the one that it names, nothing
// when it names none or that cannot be read (which is reported already where the name stands).
std::optional<model::reference_policy> read_reference(const value& table, const std::optional<preset_file>& preset,
                                                      report& findings);

// The same of a probe: with a preset, with one check inline, or with [[check]], each of which is a node. A preset
// that cannot be read is null.
std::optional<model::probe_reference> read_probe_reference(const value& table, const preset_file* preset,
                                                           report& findings);

}  // namespace hasup::config
