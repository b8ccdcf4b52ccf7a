// A directory of an SFTP host as its lines of `ls -l`, which is what nearly every server sends. Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/duration.hpp"
#include "base/result.hpp"
#include "snapshot/listing.hpp"

namespace hasup::snapshot {

// `base` ends in "/". Sizes are exact; times have minutes at best and the host's zone (not exact), the year of lines
// without one is found with `now`. Links count as files: who runs the host means them; their size is not known.
base::result<std::vector<listed_file>> parse_sftp_listing(std::string_view lines, const std::string& base,
                                                          base::wall_time now, listed wanted = listed::snapshots);

}  // namespace hasup::snapshot
