// hasup-worker-fetch: the worker's modes that need the network, select and fetch.
#include "snapshot/fetch/fetch.hpp"
#include "snapshot/fetch/select.hpp"
#include "snapshot/job_run.hpp"

int main(int argc, char** argv) {
  using namespace hasup;
  return snapshot::run_job(argc, argv, [](const ports::worker_job& job, snapshot::job_control& control) {
    if (job.mode == ports::worker_mode::select) return snapshot::select(job, control);
    if (job.mode == ports::worker_mode::fetch) return snapshot::fetch(job, control);
    ports::worker_result out;
    out.failure = ports::worker_failure::internal;
    out.error = "this program only selects and fetches";
    return out;
  });
}
