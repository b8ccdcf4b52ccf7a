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
  if (!s.inspected || s.readers != readers_of_data::down) return quiesce_first();
  look_before_wipe();
}

// The last look may be hours ago: what was free then others may have filled.
void stepper::look_before_wipe() {
  s.now = measuring{};
  run(ports::worker_mode::measure);
}

void stepper::weigh_before_wipe(const ports::worker_result& r) {
  if (!r.ok() || !r.room)
    return drop(fate::unreachable, "how much room there is cannot be seen (" + r.error +
                                       "), and the old state is not deleted on a guess");
  auto room = *r.room;
  for (const auto& one : s.done.chosen()->snapshots)  // whatever the file system says that they take
    if (one.size) room.cached.push_back({one.name, true, *one.size});
  const auto plan = decide_space(s.done.plan, *s.done.chosen(), room);
  s.sum = plan.text;
  if (!plan.fits) return drop(fate::unreachable, plan.text);
  if (plan.in_place) return begin_wipe();
  s.in_place = s.archive_ready = false;
  say("note", "there is room for both by now, so the old state stays until the new one is confirmed");
  unpack();
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
    if (!r.wiped && !unknown && !s.wipe_was_tried) return end(outcome::refused, r.error + untouched());
    s.wipe_was_tried = true;
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
  if (s.done.wiped) return "";
  return s.done.was_rolled_back ? "; " + old_state_is_back() : "; the old state is untouched";
}

std::string stepper::what_is_left() const {
  const auto& dir = s.done.plan.data_dir;
  return "; the old state was deleted to make room and cannot be put back, so nothing is started: `hasup recover " +
         unit_name() + "` tries again, with --from FILE from another archive; what was fetched is in " + dir +
         "/.hasup/cache (whoever puts a whole state there by hand removes " + dir + "/.hasup/swap.json)";
}

}  // namespace hasup::recovery
