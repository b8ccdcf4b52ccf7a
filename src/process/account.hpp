// Names of users and groups to numbers. Goes through NSS, which may ask the network: call it on the disk thread only.
#pragma once

#include <string>
#include <vector>

#include "base/result.hpp"

namespace hasup::process {

struct account {
  unsigned uid = 0;
  unsigned gid = 0;
  std::vector<unsigned> groups;  // supplementary: those of the user, then the named ones
  std::string name;
  std::string home = "/";
  bool own = false;  // the daemon's own user: nothing has to be changed in a child
};

// user and groups: names or numbers; user "" = the daemon's own. A number without an account is fine (gid = uid).
base::result<account> resolve_account(const std::string& user, const std::vector<std::string>& groups);

}  // namespace hasup::process
