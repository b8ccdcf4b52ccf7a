// The actions of `hasup snapshot`.
#pragma once

#include "cli/context.hpp"
#include "cli/snapshot_rows.hpp"
#include "cli/snapshot_target.hpp"
#include "cli/worker_call.hpp"

namespace hasup::cli {

struct found_snapshots {
  worker_answer answer;
  std::vector<snapshot_row> rows;
};

// Asks the sources. Says on standard error what went wrong with some of them, unless JSON is wanted.
found_snapshots look_for_snapshots(const context& c, const snapshot_target& target);

exit_code list_snapshots(const context& c);
exit_code verify_snapshots(const context& c);
exit_code get_snapshot(const context& c);

}  // namespace hasup::cli
