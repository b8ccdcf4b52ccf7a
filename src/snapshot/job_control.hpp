// What a job sees of the outside while it works: whether it was cancelled, and where to tell how far it is.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "ports/worker_job.hpp"

namespace hasup::snapshot {

class job_control {
 public:
  using clock = std::chrono::steady_clock;

  job_control() = default;  // never cancelled, tells nobody
  job_control(std::string progress_path, std::function<bool()> cancelled)
      : progress_path_(std::move(progress_path)), cancelled_(std::move(cancelled)) {}
  // Tells somebody else than a file.
  job_control(std::function<void(const ports::worker_progress&)> told, std::function<bool()> cancelled)
      : told_(std::move(told)), cancelled_(std::move(cancelled)) {}

  [[nodiscard]] bool cancelled() const { return cancelled_ && cancelled_(); }

  // A new phase; written at once.
  void begin(std::string phase, std::string snapshot, std::string source, std::optional<std::uint64_t> total,
             std::uint64_t done = 0);
  // At most twice a second reaches the file; cheap to call.
  void advance(std::uint64_t done);
  // A new phase whose work is files, not bytes.
  void begin_files(std::string phase, std::optional<std::uint64_t> total);
  // One more of them; as advance().
  void count_file();

 private:
  void write();
  // Whether somebody is to be told, and was not just now.
  [[nodiscard]] bool is_due(clock::time_point now) const;

  std::string progress_path_;
  std::function<void(const ports::worker_progress&)> told_;
  std::function<bool()> cancelled_;
  ports::worker_progress now_;
  clock::time_point written_{};
  clock::time_point measured_{};
  std::uint64_t measured_done_ = 0;
};

std::uint64_t milliseconds_since(job_control::clock::time_point began);

// Writes result_path as a whole: temporary file, fsync, rename.
base::result<void> write_result(const std::string& path, const ports::worker_result& result);

}  // namespace hasup::snapshot
