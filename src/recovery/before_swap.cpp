// Select, fetch, unpack, ask: nothing here touches the data, so every way out is "refused", unless the old state is
// deleted in place (in_place.cpp).
#include <algorithm>
#include <set>

#include "base/byte_size.hpp"
#include "base/joined.hpp"
#include "recovery/candidates.hpp"
#include "recovery/prefetch.hpp"
#include "recovery/stepper.hpp"

namespace hasup::recovery {
namespace {

std::string source_of(const ports::candidate& c) {
  return c.snapshots.empty() ? "" : model::shown_url(c.snapshots.front().source);
}

}  // namespace

bool stepper::budget_left() const {
  const auto& p = s.done.plan;
  return p.asked.by_hand || follows() || p.budget_count == 0 ||
         swaps_within(s.remembered.swaps, p.budget_within, now.wall) < p.budget_count;
}

std::string stepper::budget_text() const {
  const auto& p = s.done.plan;
  return "the budget of " + std::to_string(p.budget_count) + " recoveries within " +
         base::format_duration(p.budget_within) + " is used up; `hasup recover " + p.unit +
         "` goes beyond it by hand";
}

// A person who did not say yes at once says it to the deletion of the old state. Once it is gone there is nothing to
// be asked about.
bool stepper::must_ask() const {
  const auto& p = s.done;
  const bool to_ask =
      p.plan.mode == model::recovery_mode::ask ? s.in_place || !p.wiped : s.in_place && p.plan.asked.by_hand;
  // A yes to what can be taken back is none to what cannot.
  const bool approved = s.in_place ? p.approved_in_place : p.is_approved;
  return to_ask && !p.plan.asked.yes && !approved;
}

// Sources come back and new backups are made; a person who asked is answered and decides, and so is a leader.
outcome stepper::not_now() const {
  return s.done.plan.asked.by_hand || follows() ? outcome::refused : outcome::unavailable;
}

void stepper::go_on_before_swap() {
  switch (s.done.at) {
    case mark::begun:
      if (s.done.plan.asked.beside && !s.done.plan.asked.by_hand && !s.inspected) return look_for_warm();
      return select();
    case mark::selected:
      if (s.done.then == after_roll_back::again && s.done.current) return try_candidate(*s.done.current);
      return try_next();
    case mark::trying:
      if (s.archive_ready) return look_before_wipe();
      // The archive that the old state was deleted for is here, wherever it came from.
      if (s.done.wiped_for_current && !s.done.sha256.empty()) return unpack();
      if (gather()) return;
      return make_sure_of_room();
    default:
      return stage_is_ready();
  }
}

void stepper::select() {
  release_before_swap();
  const auto& plan = s.done.plan;
  if (!plan.asked.from.empty() && is_grouped())
    return end(outcome::refused,
               "a file does not say of which backup it is, and group " + plan.group +
                   " is restored as one set; take recovery.group out of the unit to restore it alone");
  if (!plan.asked.from.empty()) {
    auto job = job_of_file(plan);
    if (!job) return end(outcome::refused, job.error().message);
    s.now = selecting{};
    out.emplace_back(run_worker{std::move(*job)});
    return;
  }
  if (const auto warm = std::exchange(s.warm, std::nullopt);
      warm && s.done.at == mark::begun && !plan.asked.by_hand) {
    auto left = usable(*warm, plan, s.remembered, now.wall);
    if (left) return take_warm(*warm, std::move(*left));
    say("note", "what was fetched beforehand is not used: " + left.error().message);
  }
  s.now = selecting{};
  run(ports::worker_mode::select);
}

// Beside a node that runs nothing is inspected before the swap is due.
void stepper::look_for_warm() {
  s.now = measuring{};
  run(ports::worker_mode::measure);
}

void stepper::take_warm(const ports::warm_set& warm, std::vector<ports::candidate> candidates) {
  say("warm", name_of(candidates.front()) + " was fetched beforehand" + (warm.unpacked ? " and is unpacked" : "") +
                  ": no source is asked");
  commit(selected{std::move(candidates), warm.sha256, warm.verified ? warm.verified_by : ""});
  try_next();
}

void stepper::on_selected(const ports::worker_result& r) {
  if (r.failure == ports::worker_failure::unreachable) return retry_source(step::select, r);
  if (r.failure == ports::worker_failure::internal) return retry_worker(step::select, r);
  if (!r.ok()) return s.done.was_rolled_back ? give_up(outcome::refused, r.error) : end(outcome::refused, r.error);
  take_candidates(r.candidates, r.notes);
}

// What there was, and did not lead on from where the head stands.
std::string stepper::not_beyond(const std::vector<ports::candidate>& all) const {
  const auto& newer_than = s.done.plan.asked.newer_than;
  if (!newer_than) return {};
  std::optional<std::uint64_t> highest;
  unsigned behind = 0, silent = 0;
  for (const auto& c : all) {
    if (is_beyond(c, *newer_than)) continue;
    const auto block = block_of(c);
    if (!block ||
        std::any_of(c.snapshots.begin(), c.snapshots.end(), [](const auto& x) { return x.block_is_guess; })) {
      ++silent;
      continue;
    }
    ++behind;
    highest = std::max(highest.value_or(0), *block);
  }
  std::string text = " that is beyond the own head " + std::to_string(*newer_than);
  if (behind > 0) text += "; the newest is of block " + std::to_string(*highest);
  if (silent > 0) text += "; " + std::to_string(silent) + " of them do not say their block for sure";
  return text;
}

void stepper::take_candidates(const std::vector<ports::candidate>& all, const std::vector<std::string>& notes) {
  std::vector<std::string> bad_names;
  const std::set<std::string> bad(s.remembered.bad.begin(), s.remembered.bad.end());
  // What a person named is tried even when it is marked bad.
  auto candidates = s.done.plan.asked.from.empty() ? allowed(all, s.done.plan, bad, &bad_names) : all;
  if (candidates.empty()) {
    std::string why = "no snapshot to recover from";
    if (!s.done.plan.asked.snapshot.empty()) why += " is named " + s.done.plan.asked.snapshot;
    why += not_beyond(all);
    why += without_a_set(all);
    if (!bad_names.empty())
      why += "; marked bad: " + base::joined(bad_names) + " (`hasup reset " + unit_name() +
             "` forgets that and tries again, `hasup recover " + unit_name() + " --from FILE` takes another archive)";
    if (!notes.empty()) why += "; " + base::joined(notes, "; ");
    return give_up(not_now(), why + left_to_a_person(s.done.plan));
  }
  for (const auto& note : notes) say("note", note);
  std::vector<std::string> newer_bad;
  if (const auto first = std::find(all.begin(), all.end(), candidates.front()); !bad_names.empty())
    (void)allowed({all.begin(), first}, s.done.plan, bad, &newer_bad);
  for (const auto& name : newer_bad)
    say("note", name + " is newer, and is passed over: it is remembered as bad (`hasup reset " + unit_name() +
                    "` forgets that)");
  commit(selected{std::move(candidates)});
  try_next();
}

// What a person should know when there are archives, but none that a group could take.
std::string stepper::without_a_set(const std::vector<ports::candidate>& all) const {
  if (follows()) return " of backup \"" + s.done.plan.asked.set + "\"";
  if (s.done.plan.group.empty() || all.empty()) return {};
  if (std::any_of(all.begin(), all.end(), [](const auto& c) { return !set_of(c).empty(); })) return {};
  return " says of which backup it is, and group " + s.done.plan.group +
         " is restored as one set (\"set\" in manifest.json, `hasup snapshot create --set`)";
}

void stepper::try_next() {
  const auto index = next_candidate(s.done, s.not_swappable, s.remembered);
  if (!index && !s.done.settled.empty() && budget_left()) return select();  // the sources may have more
  if (index && (budget_left() || s.done.wiped)) return try_candidate(*index);
  std::string why = index ? budget_text() : "no snapshot is left to try";
  if (!s.done.last_why.empty()) why += "; last: " + s.done.last_why;
  if (!index) why += left_to_a_person(s.done.plan);
  give_up(index ? outcome::refused : not_now(), why);
}

// The old state stands, if it stands; was it ever away?
void stepper::give_up(outcome how, const std::string& why) {
  if (s.done.was_rolled_back)
    return end(outcome::rolled_back, why + (s.done.wiped ? "" : "; " + old_state_is_back()));
  end(how, why + untouched());
}

void stepper::try_candidate(std::size_t index) {
  s.tries = 0;
  s.environment_exits = 0;
  s.first_try.reset();
  s.waits_for.clear();
  s.tainted = false;
  s.in_place = s.archive_ready = false;
  commit(trying{index});
  const auto& c = *s.done.chosen();
  say("selected",
      "trying " + name_of(c) + " from " + source_of(c) + " (plan \"" + s.done.chosen_plan()->name + "\")");
  if (gather()) return;
  make_sure_of_room();
}

// One look serves all candidates until something is fetched.
void stepper::make_sure_of_room() {
  s.need.reset();
  s.sum.clear();
  if (s.room) return weigh_room();
  s.now = measuring{};
  run(ports::worker_mode::measure);
}

void stepper::on_measured(const ports::worker_result& r) {
  if (s.archive_ready) return weigh_before_wipe(r);
  s.room = r.room;
  if (s.done.at == mark::begun) {
    s.warm = r.warm;
    return select();
  }
  if (r.ok() && r.room) return weigh_room();
  // Fetching and unpacking look for room themselves, only later.
  say("note", "how much room there is could not be measured: " + (r.error.empty() ? "no answer" : r.error));
  s.in_place = s.done.plan.space == model::space_policy::in_place && !s.done.wiped;
  fetch();
}

// A smaller or older snapshot, or another plan, may still fit.
void stepper::weigh_room() {
  const auto plan = decide_space(s.done.plan, *s.done.chosen(), *s.room);
  if (!plan.swappable) {
    s.not_swappable.insert(s.done.chosen()->plan);
    return drop(fate::unreachable, plan.text);
  }
  s.sum = plan.text;
  if (!plan.fits && ++s.without_room == most_without_room)
    return end(not_now(), std::to_string(most_without_room) + " snapshots in a row have no room; last: " + plan.text +
                              untouched());
  if (!plan.fits) return drop(fate::unreachable, plan.text);
  s.without_room = 0;
  s.need = plan.need;
  s.in_place = plan.in_place;
  if (!plan.in_place) s.need->freed = 0;
  s.device = s.room->device;
  fetch();
}

void stepper::fetch() {
  release_before_swap();
  s.room.reset();
  s.now = fetching{};
  run(ports::worker_mode::fetch);
}

void stepper::on_fetched(const ports::worker_result& r) {
  switch (r.failure) {
    case ports::worker_failure::none:
      break;
    case ports::worker_failure::bad_snapshot:
      return drop(fate::bad, r.error);
    case ports::worker_failure::unreachable:
      if (r.damaged_at.empty()) return retry_source(step::fetch, r);
      remember_bad_mirrors(s.remembered, *s.done.chosen(), r);
      return drop(fate::unreachable, r.error);
    case ports::worker_failure::refused:
      return drop(fate::unreachable, r.error);  // e.g. no checksum where one is asked
    case ports::worker_failure::internal:
      return retry_worker(step::fetch, r);
    case ports::worker_failure::no_space:
      return end_without_room(r.error);
    case ports::worker_failure::writer:
      return end(outcome::refused, r.error);
  }
  s.tries = 0;
  s.source_is_down = false;
  const bool named = !s.done.plan.asked.snapshot.empty() || !s.done.plan.asked.from.empty();
  for (const auto& digest : r.sha256)
    if (!named && !digest.empty() && is_remembered_bad(bad_key_of_digest(digest)))
      return drop(fate::bad, "it is the same archive as one that is marked bad");
  note_pace(s.remembered.measured, ports::worker_mode::fetch, r, now.wall);
  commit(fetched{r.sha256, r.verified});
  for (const auto& note : r.notes) say("note", note);
  std::string size = r.bytes > 0 ? base::format_byte_size(r.bytes) + ", " : "";
  if (r.at_hand > 0) size += "of which " + base::format_byte_size(r.at_hand) + " were at hand, ";
  say("fetched", "fetched " + chosen_name() + " (" + size +
                     (r.verified ? (r.verified_by.empty() ? "sha256" : r.verified_by) + " verified)"
                                 : std::string("no checksum to verify with)")));
  if (s.in_place) return archive_is_ready();
  unpack();
}

void stepper::unpack() {
  release_before_swap();
  s.now = unpacking{};
  run(ports::worker_mode::unpack);
}

void stepper::on_unpacked(const ports::worker_result& r) {
  switch (r.failure) {
    case ports::worker_failure::none:
      break;
    case ports::worker_failure::bad_snapshot:
      return drop(fate::bad, r.error);
    case ports::worker_failure::internal:
    case ports::worker_failure::unreachable:
      return retry_worker(step::unpack, r);
    case ports::worker_failure::no_space:
      return end_without_room(r.error);
    case ports::worker_failure::refused:
    case ports::worker_failure::writer:
      return end(outcome::refused, r.error);
  }
  s.tries = 0;
  note_pace(s.remembered.measured, ports::worker_mode::unpack, r, now.wall);
  const auto arguments = first_start_arguments(s.done.plan.recipe, *s.done.chosen_plan(), r.archive_paths);
  if (!arguments) return drop(fate::unreachable, arguments.error().message);
  const auto command = import_command(s.done.plan.recipe, *s.done.chosen_plan(), r.archive_paths);
  if (!command) return drop(fate::unreachable, command.error().message);
  for (const auto& note : r.notes) say("note", note);
  commit(staged{r.archive_paths});
  say("staged", "staged " + chosen_name());
  stage_is_ready();
}

void stepper::drop(fate of, const std::string& why) {
  const auto name = chosen_name();
  commit(dropped{*s.done.current, of, why});
  if (of == fate::bad) remember_bad();
  say("dropped", name + " is not used: " + why);
  try_next();
}

// Others wrote there meanwhile, or more came out of the archive than was to be expected.
void stepper::end_without_room(const std::string& error) {
  if (s.done.wiped) return drop(fate::unreachable, error);  // a smaller one may fit
  give_up(outcome::refused, error + (s.sum.empty() ? "" : "; before it began: " + s.sum));
}

void stepper::retry_source(step then, const ports::worker_result& r) {
  ++s.tries;
  if (s.tries < (s.source_is_down ? 1U : tries_of_a_source)) return pause_before(then, s.tries, r.error);
  if (then == step::select) return give_up(not_now(), "no source can be reached: " + r.error);
  s.source_is_down = true;
  drop(fate::unreachable, r.error);
}

void stepper::retry_worker(step then, const ports::worker_result& r) {
  if (++s.tries < tries_of_a_worker) return pause_before(then, s.tries, r.error);
  const bool of_this_one = then == step::fetch || then == step::unpack;
  if (s.done.wiped && of_this_one) return drop(fate::unreachable, r.error);
  give_up(outcome::refused, r.error);
}

void stepper::stage_is_ready() {
  if (gather()) return;
  if (must_ask()) return ask();
  if (!s.inspected || s.readers != readers_of_data::down) return quiesce_first();
  begin_swap();
}

void stepper::ask() {
  s.now = asking{};
  s.inspected = false;  // a person may take days
  release_before_swap();
  const auto since = as_of(*s.done.chosen());  // what came after it must come again
  const auto plan = "(plan \"" + s.done.chosen_plan()->name + "\"" + (since.empty() ? "" : "; " + since) + ")";
  const auto what = s.in_place ? chosen_name() +
                                     " is here and verified; the old state would be deleted before it is "
                                     "unpacked, with no way back " +
                                     plan
                               : chosen_name() + " is ready to replace the state " + plan;
  out.emplace_back(
      finish{outcome::asking, what + "; `hasup recover " + unit_name() + " --yes` does it, --cancel does not"});
}

void stepper::begin_swap() {
  commit(swapping{std::chrono::floor<base::duration>(now.wall)});
  auto& swaps = s.remembered.swaps;
  swaps.push_back(s.done.swaps.back());
  std::erase_if(swaps, [&](base::wall_time t) { return !counts(t, s.done.plan.budget_within, now.wall); });
  say("swapping", s.done.wiped ? "putting " + chosen_name() + " in the place of the old state, which is deleted"
                               : "putting the old state aside and " + chosen_name() + " in its place");
  swap();
}

}  // namespace hasup::recovery
