// DATA_DIR/.hasup/staging/staged.json: written last, after everything in the staging directory is on disk. Without it
// the staging directory is half done and a swap refuses: a state is never replaced by nothing.
#pragma once

#include <map>
#include <string>

#include "snapshot/disk.hpp"

namespace hasup::snapshot {

struct staged {
  std::string plan;
  std::map<std::string, std::string> archive_paths;  // AS -> absolute path

  friend bool operator==(const staged&, const staged&) = default;
};

outcome<std::optional<staged>> read_staged(int own);
outcome<void> write_staged(int own, const disk& d, const staged& s);

}  // namespace hasup::snapshot
