// DATA_DIR/.hasup: hasup's own directory, which neither an archive nor a plan may name.
#pragma once

#include <string_view>

#include "base/folded_name.hpp"

namespace hasup::model {

inline constexpr std::string_view own_directory = ".hasup";

// `name` is one component of a path. Also where a file system that folds names would take it for that.
inline bool is_own_directory(std::string_view name) {
  return base::folded_name(name) == own_directory;
}

// `path` is relative to the data directory: that directory itself, or something in it.
inline bool is_in_own_directory(std::string_view path) {
  return is_own_directory(path.substr(0, path.find('/')));
}

}  // namespace hasup::model
