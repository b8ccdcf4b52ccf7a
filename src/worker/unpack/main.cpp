// hasup-worker-unpack: the worker's mode that reads archives; without network.
#include <clocale>

#include "snapshot/job_run.hpp"
#include "snapshot/unpack/confine.hpp"
#include "snapshot/unpack/unpack.hpp"

int main(int argc, char** argv) {
  using namespace hasup;
  std::setlocale(LC_CTYPE, "C.UTF-8");  // libarchive's names are then the archive's own bytes
  return snapshot::run_job(argc, argv, [](const ports::worker_job& job, snapshot::job_control& control) {
    ports::worker_result out;
    if (job.mode != ports::worker_mode::unpack) {
      out.failure = ports::worker_failure::internal;
      out.error = "this program only unpacks";
      return out;
    }
    if (auto confined = snapshot::confine_unpacking(job); !confined) {
      out.failure = confined.error().kind;
      out.error = confined.error().message;
      return out;
    }
    return snapshot::unpack(job, control);
  });
}
