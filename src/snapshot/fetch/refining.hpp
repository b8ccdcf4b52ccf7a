// What a listing leaves out of the files that count, asked of their host: exact sizes, and times where they decide.
#pragma once

#include <set>
#include <string>
#include <vector>

#include "model/recipe.hpp"
#include "snapshot/fetch/remote_client.hpp"
#include "snapshot/listing.hpp"

namespace hasup::snapshot {

inline constexpr std::size_t refined_per_archive = 8;  // the newest few are all that is ever tried

struct refining_rule {
  base::duration max_age{0};  // 0 = any age
  bool all = false;           // a person wants to see of every file whether it is young enough
};

// Where the newest by time is wanted the host is asked for all times that its listing does not have; with a `max_age`
// until enough files are young enough. Not for more than 500, nor when it tells none. Returns the
// names of files that have no time because the host, which tells times, was not asked for theirs: they may be of any
// age.
std::set<std::string> refine_what_counts(remote_client& host, const std::vector<model::recovery_plan>& plans,
                                         const refining_rule& rule, std::vector<listed_file>& files,
                                         std::vector<std::string>& notes);

}  // namespace hasup::snapshot
