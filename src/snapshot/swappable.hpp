// Which entries of a data directory can be renamed by the unit's user: asked before anything is fetched for them, and
// once more right before the swap.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "snapshot/disk.hpp"
#include "snapshot/wipe_rules.hpp"

namespace hasup::snapshot {

// A link, somebody else's, or a mount point that data.mount does not name is a refusal that says what to do. `shown`
// is its whole path, `device` that of the data directory or the volume, `user` who will rename it.
outcome<void> check_swappable(const std::string& shown, const entry_info& found, std::uint64_t device, uid_t user);
// The same of what is mounted below it, whatever names that; `all` is what mount_points() says.
outcome<void> check_nothing_mounted(const std::string& shown, const spot& entry, const std::vector<std::string>& all);

// The same for all that the rules replace below the descriptor `root` of `data_dir`; also when what leads there
// cannot be looked into, or a volume is not mounted. "" = all can be renamed.
std::string why_not_swappable(int root, const std::string& data_dir, const wipe_rules& rules, uid_t user);

}  // namespace hasup::snapshot
