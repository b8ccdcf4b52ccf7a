// Starts the node: decodes the request, forks, and lets the child go on only when its pid is on record.
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/types.h>

#include "base/unique_fd.hpp"
#include "process/shim_protocol.hpp"
#include "shim/data_lock.hpp"
#include "shim/node_cgroup.hpp"
#include "shim/record_page.hpp"

namespace hasup::shim {

struct run_limit {
  int resource;
  rlimit value;
};

// Points into the received frame and into memory of its own; lives until the child is started.
struct run_spec {
  run_spec() = default;
  run_spec(const run_spec&) = delete;
  run_spec& operator=(const run_spec&) = delete;
  ~run_spec();

  uint64_t run = 0;
  char** argv = nullptr;
  char** env = nullptr;  // with room for one more
  size_t env_count = 0;
  gid_t* groups = nullptr;
  size_t group_count = 0;
  run_limit* limits = nullptr;
  size_t limit_count = 0;
  const char* directory = "/";
  bool has_uid = false;
  bool has_gid = false;
  uid_t uid = 0;
  gid_t gid = 0;
  mode_t umask = 022;
  bool has_nice = false;
  int nice = 0;
  bool has_oom_score_adjust = false;
  int oom_score_adjust = 0;
  uint64_t capabilities = 0;
  log_target log;
  const char* cgroup = "";
  const char* data_dirs[data_lock::most] = {};
  size_t data_dir_count = 0;

  void* memory = nullptr;
  size_t memory_size = 0;
};

process::request_error parse_run(const char* payload, size_t length, run_spec& out);
bool read_limit(const process::field& f, run_limit& out);

struct start_failure {
  process::exec_stage stage = process::exec_stage::none;
  int error = 0;
};

struct child {
  pid_t pid = 0;
  base::unique_fd release;  // a byte here lets it go on; when the shim dies instead, the child ends
  base::unique_fd error;    // end of file: it is in its exec; else a start_failure
  base::unique_fd out;      // the shim's ends of its pipes
  base::unique_fd err;
};

// Forks. The child waits until child.release is written to. A cgroup that cannot be entered is no reason not to
// start.
start_failure start_child(const run_spec& spec, const node_cgroup& cgroup, child& out);
void release_child(child& c);
// After child.error became readable. stage none: the program runs.
start_failure read_start_failure(const child& c);

}  // namespace hasup::shim
