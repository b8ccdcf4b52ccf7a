// hasup-worker-unpack: the worker's mode that reads archives; without network.
#include <malloc.h>
#include <unistd.h>

#include <clocale>

#include "snapshot/job_run.hpp"
#include "snapshot/sandbox.hpp"
#include "snapshot/unpack/examine.hpp"
#include "snapshot/unpack/unpack.hpp"

int main(int argc, char** argv) {
  using namespace hasup;
  std::setlocale(LC_CTYPE, "C.UTF-8");     // libarchive's names are then the archive's own bytes
  ::mallopt(M_MMAP_THRESHOLD, 256 << 10);  // large buffers go back to the system, whatever was freed before
  return snapshot::run_job(argc, argv, [](const ports::worker_job& job, snapshot::job_control& control) {
    if (job.mode == ports::worker_mode::examine) {
      if (auto entered = snapshot::enter_sandbox(snapshot::examine_bounds(job)); !entered)
        return snapshot::failed_result(entered.error());
      return snapshot::examine(job, control);
    }
    if (job.mode != ports::worker_mode::unpack)
      return ports::internal_failure("this program only unpacks and examines");
    if (const auto own = job.data_dir + "/.hasup"; ::access(own.c_str(), F_OK) != 0)
      return snapshot::failed_result(
          snapshot::refusal(own + " is not there: nothing was fetched; fetch a snapshot first"));
    if (auto entered = snapshot::enter_sandbox(snapshot::unpack_bounds(job)); !entered)
      return snapshot::failed_result(entered.error());
    return snapshot::unpack(job, control);
  });
}
