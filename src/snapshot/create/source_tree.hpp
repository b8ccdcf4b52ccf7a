// What goes into an archive: every entry below a directory in the order of the bytes of its path, whatever the order
// on the disk is.
#pragma once

#include <sys/stat.h>

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "snapshot/outcome.hpp"
#include "snapshot/wipe_rules.hpp"

namespace hasup::snapshot {

struct source_entry {
  enum class kind { file, directory, link, hard_link };
  kind is = kind::file;
  std::string path;    // relative
  std::string target;  // of a link; of a hard link the entry before it that is the file
  mode_t mode = 0;     // permissions
  uid_t uid = 0;
  gid_t gid = 0;
  std::uint64_t size = 0;
  timespec modified{};
  std::uint64_t on_disk = 0;  // bytes to read, as far as the file system says so
};

struct source_tree {
  std::vector<source_entry> entries;
  std::vector<std::string> notes;  // what was left out, and why
  std::uint64_t on_disk = 0;
  timespec modified{};  // of the root, before it was read
};

// All below `root` but .hasup; with `rules` what they call replaced, and the directories that lead there. Sockets and
// pipes are left out with a note. What unpacking would refuse is refused here: a link that leads out, devices, names
// that no archive of ours may have.
outcome<source_tree> read_source_tree(int root, const wipe_rules* rules, const std::function<bool()>& stop);

}  // namespace hasup::snapshot
