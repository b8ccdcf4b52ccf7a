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

// Each volume gets another word by which it is known, so that an older copy of it is not taken for it when what comes
// there now is swapped in; unless a swap is under way, which goes by the word that it has.
outcome<void> claim_to_carry(data_tree& tree, const disk& d);

// From staging/new of the data directory to those of its volumes, a volume after the other; what was copied is on
// the disk of its volume when it is deleted where it was. Without room for all of it beside `min_free` bytes nothing
// is copied (no_space); what fails later leaves nothing on any volume. Gives what came, by its place in the data
// directory.
outcome<std::map<std::string, identity>> carry(const data_tree& tree, const wipe_rules& rules, std::uint64_t min_free,
                                               const disk& d, job_control& control);

}  // namespace hasup::snapshot
