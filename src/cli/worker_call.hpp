// Runs one job of hasup-worker for a person, without a daemon: as a child that ends with this program, with a live
// line of progress on a terminal.
#pragma once

#include <optional>
#include <string>

#include "cli/context.hpp"
#include "ports/worker_job.hpp"

namespace hasup::cli {

struct worker_answer {
  ports::worker_result result;
  bool interrupted = false;                    // by Ctrl-C or SIGTERM; what it had is kept
  std::optional<ports::worker_progress> last;  // how far it was
};

// result_path and progress_path are filled in here. `home`: HOME of the worker, "" = as it is. `secret` (at most 4096
// bytes) comes to its standard input. The first Ctrl-C asks
// the worker to end in order, a second one kills it.
worker_answer call_worker(const context& c, ports::worker_job job, const std::string& home,
                          const std::string& secret = {});

// "fetch  [####----]  48%  4.1GiB of 8.5GiB, 210MiB/s, 21s left  snapshot-….bin.zst"
std::string progress_line(const ports::worker_progress& p, const terminal& t);
// What a log is told when a phase begins: "fetching snapshot-….bin.zst (8.5GiB) from https://host/dir/"; "" =
// nothing.
std::string phase_line(const ports::worker_progress& p);

}  // namespace hasup::cli
