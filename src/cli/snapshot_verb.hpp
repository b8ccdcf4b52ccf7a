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

// The absolute path of a directory for archives, made where it is not there. `option` says another one.
std::variant<std::string, target_error> prepare_directory(const context& c, const std::string& wanted,
                                                          const std::string& option);

exit_code list_snapshots(const context& c);
exit_code verify_snapshots(const context& c);
exit_code get_snapshot(const context& c);
exit_code create_snapshots(const context& c);

}  // namespace hasup::cli
