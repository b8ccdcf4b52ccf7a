// hasup-worker-unpack: the worker's mode that reads archives; without network. With --ahead it unpacks what
// hasup-worker-fetch is fetching (snapshot/ahead_link.hpp); hasup-worker starts it so.
#include <malloc.h>
#include <unistd.h>

#include <clocale>
#include <string_view>

#include "snapshot/job_run.hpp"
#include "snapshot/sandbox.hpp"
#include "snapshot/unpack/carry.hpp"
#include "snapshot/unpack/examine.hpp"
#include "snapshot/unpack/unpack.hpp"
#include "snapshot/unpack/unpack_ahead.hpp"

namespace {

using namespace hasup;

// The first message comes when there is something to do; .hasup is there by then.
void unpack_ahead(const ports::worker_job& job) {
  const auto link = snapshot::ahead_link::inherited();
  auto first = link.receive();
  if (!first || first->message.what != snapshot::ahead_message::kind::lock) return;
  const auto tree = snapshot::data_tree::open_beside(job.data_dir, snapshot::disk{}, std::move(first->carried));
  if (!tree || !snapshot::enter_sandbox(snapshot::ahead_bounds(job))) return;
  snapshot::unpack_ahead(job, link, *tree);
}

// Holds the data directory until the bounds are closed around what is there now.
snapshot::outcome<void> enter_sandbox(const ports::worker_job& job, const snapshot::job_control& control) {
  const snapshot::disk d;
  auto tree = snapshot::data_tree::open_for_work(job.data_dir, d, control);
  if (!tree) return tree.error();
  const auto rules = snapshot::rules_of(job.plan, job);
  if (!rules) return rules.error();
  if (auto opened = tree->open_volumes(rules->volumes()); !opened) return opened;
  if (auto claimed = snapshot::claim_to_carry(*tree, d); !claimed) return claimed;
  if (auto made = tree->make_places(d, false); !made) return made;
  return snapshot::enter_sandbox(snapshot::unpack_bounds(job));
}

}  // namespace

int main(int argc, char** argv) {
  std::setlocale(LC_CTYPE, "C.UTF-8");     // libarchive's names are then the archive's own bytes
  ::mallopt(M_MMAP_THRESHOLD, 256 << 10);  // large buffers go back to the system, whatever was freed before
  if (argc == 3 && std::string_view(argv[1]) == "--ahead") return snapshot::run_beside(argv[2], &unpack_ahead);
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
    if (auto entered = enter_sandbox(job, control); !entered) return snapshot::failed_result(entered.error());
    return job.prefetch ? snapshot::unpack_for_later(job, control) : snapshot::unpack(job, control);
  });
}
