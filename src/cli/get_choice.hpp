// Which snapshot `hasup snapshot get` fetches, and where to. Pure.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "cli/invocation.hpp"
#include "cli/snapshot_rows.hpp"

namespace hasup::cli {

struct get_words {
  std::string name;       // a name or glob; "" = what a recovery would take
  std::string directory;  // "." where none is said
};

// Behind the unit or source: a name, a directory (that is there, or has a slash in it), or one of each.
base::result<get_words> read_get_words(const invocation& call,
                                       const std::function<bool(const std::string&)>& is_directory);

// The archives of the candidate. `is_unit`: what is looked at is a unit's, whose recipe says the names. Who names one
// gets it even if it is remembered as bad; what is empty or still being written is no candidate.
base::result<std::vector<model::snapshot>> choose_snapshot(const std::vector<snapshot_row>& rows,
                                                           const std::string& name, bool is_unit);

}  // namespace hasup::cli
