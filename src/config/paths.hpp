// Where hasup keeps its things: root's directories, a user's (XDG), or all of them below HASUP_HOME.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"

namespace hasup::config {

// All absolute.
struct directories {
  std::string config;  // hasup.toml, units/, recipes/, recipes/probes/
  std::vector<std::string>
      share;  // shipped recipes/ and units/, first match wins; the config directory wins over all
  std::string state;
  std::string run;
  std::string log;

  friend bool operator==(const directories&, const directories&) = default;
};

// What find_directories depends on.
struct surroundings {
  std::function<std::optional<std::string>(const char*)> env;  // like getenv
  unsigned uid = 0;                                            // effective
  std::string program_dir;                                     // directory of the running program
  std::string working_dir;                                     // for a relative HASUP_HOME or HASUP_SHARE
  std::function<bool(const std::string&)> is_directory;
};

// Pure. HASUP_HOME=D wins over everything; else root's or the user's directories. Shipped files: HASUP_SHARE, else
// PROGRAM_DIR/../share/hasup and, for a program in build/PRESET/bin, the source tree itself.
base::result<directories> find_directories(const surroundings& around);

// The same for this process (its environment, effective user and own program file).
base::result<directories> find_directories();

// Absolute, without ".", "..", doubled and trailing slashes: what two spellings of one path have in common.
std::string normal_path(std::string_view path);

}  // namespace hasup::config
