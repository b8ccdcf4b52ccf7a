// Which entries of a data directory a swap leaves in place for the node to go on with, and whether they can be cloned
// aside before it does (tree_clone.hpp).
#pragma once

#include <string>
#include <vector>

#include "snapshot/outcome.hpp"
#include "snapshot/wipe_rules.hpp"

namespace hasup::snapshot {

struct shared_entries {
  std::vector<std::string> paths;  // relative to the data directory, sorted; nothing kept is in or below them
  std::string why_not;             // they cannot be cloned, as far as a look at them says; ""
};

// What of `shared` may return to what it was: the same rules as for what is wiped, so that kept entries stay where
// they are, as they are.
outcome<wipe_rules> return_rules(const std::vector<std::string>& shared, const std::vector<std::string>& keep);

// `root` is the data directory. Reads no data.
shared_entries look_at_shared(int root, const wipe_rules& to_return);

}  // namespace hasup::snapshot
