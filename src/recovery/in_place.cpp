// The old state is deleted before the new one is unpacked: from the first byte on there is no way back, so all that
// can be made sure of is made sure of before. What is known then: the archives are whole in the cache, and proved.
#include "recovery/candidates.hpp"
#include "recovery/stepper.hpp"

namespace hasup::recovery {

void stepper::archive_is_ready() {
  if (!s.done.verified)
    return drop(fate::unreachable,
                "it has neither a checksum nor a signature, and the old state is deleted only for what is proved");
  s.archive_ready = true;
  if (must_ask()) return ask();
  if (!s.inspected) return quiesce_first();
  begin_wipe();
}

void stepper::begin_wipe() {
  commit(wiping{});
  say("wiping", chosen_name() +
                    " is here and verified; deleting the old state to make room for it: there is no way "
                    "back");
  wipe();
}

void stepper::wipe() {
  s.now = wiping_now{};
  run(ports::worker_mode::wipe);
}

void stepper::on_wiped(const ports::worker_result& r) {
  if (!r.ok()) {
    // Without an answer nobody knows how far it came.
    const bool unknown = r.failure == ports::worker_failure::internal;
    if (!r.wiped && !unknown) return end(outcome::refused, r.error + untouched());
    if (s.stop) return end_as_stopped();
    if (++s.tries < tries_of_a_worker) return pause_before(step::wipe, s.tries, r.error);
    return end(outcome::stuck, "the old state could not be deleted to its end: " + r.error + "; `hasup start " +
                                   unit_name() + "` goes on with that, " + chosen_name() +
                                   " is in .hasup/cache of the data directory");
  }
  s.tries = 0;
  s.in_place = s.archive_ready = false;
  commit(wiped{});
  for (const auto& note : r.notes) say("note", note);
  say("wiped", "the old state is deleted; unpacking " + chosen_name());
  if (s.stop) return end_as_stopped();
  unpack();
}

// How a reason ends that says why the recovery did.
std::string stepper::untouched() const {
  return s.done.wiped ? "" : "; the old state is untouched";
}

std::string stepper::what_is_left() const {
  const auto& dir = s.done.plan.data_dir;
  return "; the old state was deleted to make room and cannot be put back, so nothing is started: `hasup recover " +
         unit_name() + "` tries again, with --from FILE from another archive; what was fetched is in " + dir +
         "/.hasup/cache (whoever puts a whole state there by hand removes " + dir + "/.hasup/swap.json)";
}

}  // namespace hasup::recovery
