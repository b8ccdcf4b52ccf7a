// What was unpacked for the volumes of a data directory comes to their own file systems (volumes.hpp). An archive is
// unpacked as a whole beside the data directory first, since only then it is known what lies where in it; what
// belongs to a volume is written a second time.
#pragma once

#include <map>
#include <string>

#include "snapshot/data_tree.hpp"
#include "snapshot/job_control.hpp"
#include "snapshot/wipe_rules.hpp"

namespace hasup::snapshot {

// From staging/new of the data directory to those of its volumes, a volume after the other; what was copied is on
// the disk of its volume when it is deleted where it was. Without room for all of it beside
// `min_free` bytes nothing is copied (no_space). Gives what came, by its place in the data directory.
outcome<std::map<std::string, identity>> carry(const data_tree& tree, const wipe_rules& rules, std::uint64_t min_free,
                                               const disk& d, job_control& control);

}  // namespace hasup::snapshot
