// Where an archive goes: a directory of this machine, or whoever sends it elsewhere.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "ports/worker_job.hpp"
#include "snapshot/job_control.hpp"
#include "snapshot/outcome.hpp"

namespace hasup::snapshot {

class archive_target {
 public:
  archive_target() = default;
  archive_target(const archive_target&) = delete;
  archive_target& operator=(const archive_target&) = delete;
  virtual ~archive_target() = default;

  // The archive's bytes, in order; from any one thread.
  virtual outcome<void> write(std::string_view bytes) = 0;
  // The archive is whole: what stands beside it, then its final name. `made` has all but the URL, which is filled in;
  // `index` is the text of the file made.chunks.
  virtual outcome<void> publish(ports::worker_result& made, std::string index) = 0;
};

// In the directory of order.target, as NAME.part until it is whole. What is not published is removed with the
// target. Refuses a name that is there, and one that another run is at.
outcome<std::unique_ptr<archive_target>> open_local_target(const ports::create_order& order,
                                                           const job_control& control);

}  // namespace hasup::snapshot
