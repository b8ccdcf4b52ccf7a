// hasup-worker-fetch: the worker's modes that need the network: select, verify and fetch, and of create the sending.
// hasup-worker-pack then writes to the standard input.
#include <unistd.h>

#include <cstdlib>

#include "snapshot/data_tree.hpp"
#include "snapshot/fetch/fetch.hpp"
#include "snapshot/fetch/fetch_bounds.hpp"
#include "snapshot/fetch/local_reader.hpp"
#include "snapshot/fetch/select.hpp"
#include "snapshot/fetch/verify.hpp"
#include "snapshot/job_run.hpp"
#include "snapshot/send/send.hpp"

namespace {

using namespace hasup;

snapshot::outcome<void> enter_sandbox(const ports::worker_job& job, const snapshot::job_control& control) {
  snapshot::data_tree held;  // until the bounds are closed around what is there now
  if (job.mode == ports::worker_mode::fetch) {
    const snapshot::disk d;
    auto tree = snapshot::data_tree::open_for_work(job.data_dir, d, control);
    if (!tree) return tree.error();
    if (auto made = tree->make_places(d, job.prefetch.has_value()); !made) return made;
    held = std::move(*tree);
  }
  const char* named = std::getenv("HOME");
  const std::string home = named != nullptr ? named : "";
  return snapshot::enter_sandbox(job.mode == ports::worker_mode::create ? snapshot::send_bounds(job, home)
                                                                        : snapshot::fetch_bounds(job, home));
}

}  // namespace

int main(int argc, char** argv) {
  return snapshot::run_job(argc, argv, [](const ports::worker_job& job, snapshot::job_control& control) {
    using mode = ports::worker_mode;
    if (job.mode != mode::select && job.mode != mode::fetch && job.mode != mode::verify && job.mode != mode::create)
      return ports::internal_failure("this program only selects, fetches, verifies and sends");
    snapshot::local_reader::begin(snapshot::local_places(job));
    if (const auto entered = enter_sandbox(job, control); !entered) return snapshot::failed_result(entered.error());
    if (job.mode == mode::create) return snapshot::send(job, control, STDIN_FILENO);
    if (job.mode == mode::verify) return snapshot::verify(job, control);
    if (job.mode == mode::select) return snapshot::select(job, control);
    return snapshot::fetch(job, control, {}, {},
                           job.unpack_ahead ? snapshot::ahead_link::inherited() : snapshot::ahead_link());
  });
}
