// Whose files decide what is run? `hasup exec` and `hasup probe` run what unit files say; for root they do it as the
// user to whom these belong, so that nobody's files are obeyed with more rights than his own hasupd has.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "config/paths.hpp"

namespace hasup::cli {

struct owned_path {
  std::string path;
  unsigned uid = 0;
};

// The directories of configuration and state, what they stand in, and all links on the way: who owns one of them
// decides what is found. Directories further up do not count: who owns those can only put something of his own there.
std::vector<owned_path> deciding_paths(const config::directories& dirs);

// The first that belongs neither to root nor to the caller; two users with a say are an error.
base::result<std::optional<owned_path>> foreign_owner(const std::vector<owned_path>& all, unsigned caller);

// Before a unit file is read to run something of it. Root becomes the owner, with a clean environment, and gets the
// path that makes him the owner and his name ("PATH belongs to NAME"); "" = there is none. Anyone else gets an error
// (EPERM) instead.
base::result<std::string> act_as_owner(const config::directories& dirs);

}  // namespace hasup::cli
