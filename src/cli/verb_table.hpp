// The verbs of the command line: names, what they take, and help that teaches with examples.
#pragma once

#include <vector>

namespace hasup::cli {

enum class targets { none, units_optional, units, one_unit, units_and_word, paths, unit_or_preset, word };

struct verb {
  const char* name;
  std::vector<const char*> aliases;
  const char* summary;
  targets takes;
  const char* details;  // after the options
};

const std::vector<verb>& verbs();

}  // namespace hasup::cli
