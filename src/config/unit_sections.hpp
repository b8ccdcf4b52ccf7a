// The sections of a unit file, variables filled in and checked against the schema -> the members of model::unit.
#pragma once

#include <string>
#include <vector>

#include "config/document.hpp"
#include "config/unit_file.hpp"
#include "model/unit.hpp"

namespace hasup::config {

// All but probes and recipe. name, instance and file are set already. What does not fit is reported.
void read_unit(const value& root, const file_context& context, model::unit& out, report& findings);

// Of what a restart would run: command, account, environment, limits, data directory, log.
std::uint64_t fingerprint_of(const model::unit& u);
std::uint64_t settings_of(const model::unit& u);

}  // namespace hasup::config
