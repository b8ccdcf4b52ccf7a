// The whole of config/ for those who only load: directories, units, presets.
#pragma once

#include "config/paths.hpp"      // IWYU pragma: export
#include "config/unit_dir.hpp"   // IWYU pragma: export
#include "config/unit_file.hpp"  // IWYU pragma: export
#include "config/variables.hpp"  // IWYU pragma: export
