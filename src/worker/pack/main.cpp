// hasup-worker-pack: the worker's mode that writes archives; without network.
//
//   hasup-worker-pack JOB.json            into a directory of this machine
//   hasup-worker-pack --to-sender JOB.json
//                                         to the standard output, for hasup-worker-fetch to send; writes no answer
#include <unistd.h>

#include <array>
#include <clocale>
#include <cstring>

#include "snapshot/create/create.hpp"
#include "snapshot/job_run.hpp"

int main(int argc, char** argv) {
  using namespace hasup;
  std::setlocale(LC_CTYPE, "C.UTF-8");  // names are then packed as the bytes that they are
  const auto enter = [](const ports::worker_job& job) -> snapshot::outcome<void> {
    if (job.mode != ports::worker_mode::create)
      return snapshot::failure{ports::worker_failure::internal, "this program only creates archives"};
    return snapshot::enter_sandbox(snapshot::create_bounds(job));
  };
  if (argc == 3 && std::strcmp(argv[1], "--to-sender") == 0)
    return snapshot::run_part(argv[2], [&](const ports::worker_job& job, snapshot::job_control& control) {
      if (auto entered = enter(job); !entered) return 2;
      return snapshot::create_for_sender(job, control, STDOUT_FILENO);
    });
  return snapshot::run_job(argc, argv, [&](const ports::worker_job& job, snapshot::job_control& control) {
    if (auto entered = enter(job); !entered) return snapshot::failed_result(entered.error());
    return snapshot::create(job, control);
  });
}
