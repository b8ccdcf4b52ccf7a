// May a hasupd of root's obey these files? What unit files say is run as root, or as whoever they name: so nobody but
// root may be able to write them, as sshd's StrictModes, cron and sudo have it.
#pragma once

#include <string>
#include <vector>

#include "base/result.hpp"
#include "config/paths.hpp"

namespace hasup::start {

// A directory, a file or a link, as it lies on the way to what is read.
struct deciding_path {
  enum class kind { directory, file, link };
  std::string path;
  kind is = kind::file;
  unsigned uid = 0;
  unsigned gid = 0;
  unsigned mode = 0755;
  bool has_acl = false;  // then the bits of the group may be those of anybody
  bool above = false;    // hasup's own directories
};

// The user or group that can change it, as a person is told; "" = only root can. Pure: numbers become names with
// `user` and `group`.
struct names {
  std::string (*user)(unsigned uid);
  std::string (*group)(unsigned gid);
};
std::string why_distrusted(const deciding_path& p, const names& n);

// Whatever decides about all units: the directories of configuration, state and sockets from the root of the file
// system down, hasup.toml, the files of the state, and where links among them lead; of the logs only their directory.
// As far as it exists.
std::vector<deciding_path> deciding_paths(const config::directories& dirs);
// A file of a unit, recipe or preset alone, and where a link leads.
std::vector<deciding_path> deciding_paths(const config::directories& dirs, const std::string& file);

// Reads the disk and asks NSS for names. Always fine for a hasupd that is not root's: who starts it risks no more
// than his own rights.
base::result<void> check_trust(const config::directories& dirs);
// Why this hasupd must not obey a file of a unit, recipe or preset; "" = it may. One that it must not obey is the
// matter of its unit alone: hasupd comes up without it.
std::string why_file_distrusted(const config::directories& dirs, const std::string& file);

}  // namespace hasup::start
