// The manual page of unit files, made from the table of keys: docs/man/hasup-unit.5 is this text.
#pragma once

#include <string>

namespace hasup::cli {

std::string unit_manual();

}  // namespace hasup::cli
