// Runs the jobs of one instance in hasup-worker, under a shim of its own ("UNIT@N+work"): a worker outlives hasupd,
// and a job that is asked for again while it still runs is taken up, not repeated.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "daemon/unit_host.hpp"
#include "ports/worker_job.hpp"
#include "process/account.hpp"

namespace hasup::daemon {

inline constexpr std::string_view worker_suffix = "+work";

class worker_runner {
 public:
  worker_runner(daemon_services& services, std::string instance);
  ~worker_runner();
  worker_runner(const worker_runner&) = delete;
  worker_runner& operator=(const worker_runner&) = delete;

  // One job at a time: one that still runs is cancelled and ends first (its `done` says so). result_path and
  // progress_path are filled in here. `done` is called once, from the loop, never
  // from inside this call; a worker that ended without an answer is a failure `internal` that names its exit.
  // `progress` comes at most twice a second.
  void run(ports::worker_job job, const process::account& as,
           std::function<void(const ports::worker_progress&)> progress,
           std::function<void(ports::worker_result)> done);
  // What an earlier hasupd asked for and `wanted` knows is gone on with, whether it still runs or has ended unseen;
  // of any other job nothing is left then. `done` as above, with the mode of that job, or nothing and no result.
  // Only while not busy().
  void take_up(std::function<bool(const ports::worker_job&)> wanted,
               std::function<void(const ports::worker_progress&)> progress,
               std::function<void(std::optional<ports::worker_mode>, const ports::worker_result&)> done);
  // SIGTERM, SIGKILL after 10 s. `done` follows.
  void cancel();
  [[nodiscard]] bool busy() const;
  // Called from the loop once no job runs or waits; a later one drops an earlier one.
  void when_free(std::function<void()> then);
  // What an earlier hasupd left, and nobody asks for again: its job is killed, and its shim ends.
  void clear_left();
  // The process of the running worker's tree, for the one-writer check; 0 = none.
  [[nodiscard]] std::int32_t pid() const;

 private:
  struct impl;
  std::shared_ptr<impl> impl_;
};

}  // namespace hasup::daemon
