// DATA_DIR/.hasup/staging/staged.json: written last, after everything in the staging directory is on disk. Without it
// the staging directory is half done and a swap refuses: a state is never replaced by nothing.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "snapshot/swap_record.hpp"

namespace hasup::snapshot {

struct staged {
  std::string plan;
  std::map<std::string, std::string> archive_paths;  // AS -> absolute path
  std::vector<swap_volume> volumes{};                // in which something is to be replaced
  std::map<std::string, identity> carried{};         // what lies ready in them, by its place in the data directory

  friend bool operator==(const staged&, const staged&) = default;
};

outcome<std::optional<staged>> read_staged(int own);
outcome<void> write_staged(int own, const disk& d, const staged& s);

}  // namespace hasup::snapshot
