// Swap, first start, loaded and the way back. Until `confirmed` (confirmed.cpp) the old state is aside and whole.
#include <algorithm>

#include "recovery/candidates.hpp"
#include "recovery/stepper.hpp"

namespace hasup::recovery {
namespace {

constexpr unsigned most_restagings = 2;
constexpr base::duration look_at_others_every{60'000};

bool may_load(const state& s, const running& r) {
  return !r.startup_passed && !r.last && s.done.at == mark::first_start;
}

// Until startup passed a node may load for hours; then it must advance within what the recipe says.
base::duration limit_of(const state& s, const running& r) {
  if (s.done.at == mark::importing) return s.done.plan.recipe.import_timeout;
  return may_load(s, r) ? first_start_limit : s.done.plan.recipe.confirm_within;
}

// A node that tells no head can only be asked whether it is well.
bool goes_by_health(const state& s) {
  return !s.done.plan.has_head || s.done.plan.recipe.confirm == model::confirm_when::healthy;
}

base::duration proving_time(const state& s) {
  return s.done.plan.recipe.proving_time(s.done.plan.tells_health);
}

}  // namespace

std::vector<std::string> stepper::extra_arguments() const {
  // Checked when the archive was staged; nothing has changed since.
  auto r = first_start_arguments(s.done.plan.recipe, *s.done.chosen_plan(), s.done.archive_paths);
  return r ? std::move(*r) : std::vector<std::string>{};
}

std::vector<std::string> stepper::import_words() const {
  auto r = import_command(s.done.plan.recipe, *s.done.chosen_plan(), s.done.archive_paths);
  return r ? std::move(*r) : std::vector<std::string>{};
}

// What an [import] of the recipe made stands there, whole.
bool stepper::has_imported() const {
  return s.done.imports > 0 && s.done.at != mark::importing;
}

// Is the state not wiped again before another start, so that a node that was cut off may have spoiled it?
bool stepper::keeps_its_state() const {
  const auto& archives = s.done.chosen_plan()->archives;
  return s.done.at == mark::loaded || has_imported() ||
         std::any_of(archives.begin(), archives.end(), [](const auto& a) { return !a.into.empty(); });
}

void stepper::swap() {
  s.now = swapping_now{};
  run(ports::worker_mode::swap);
}

void stepper::on_swapped(const ports::worker_result& r) {
  if (!r.ok()) {
    if (r.failure == ports::worker_failure::internal && ++s.tries < tries_of_a_worker && !s.stop)
      return s.done.undo_wanted ? undo() : pause_before(step::swap, s.tries, r.error);
    const bool renamed_nothing = r.failure != ports::worker_failure::internal && !r.half_swapped;
    return roll_back(after_roll_back::end_refused, r.error, renamed_nothing);
  }
  s.tries = 0;
  commit(swapped{});
  for (const auto& note : r.notes) say("note", note);
  say("swapped", chosen_name() + (s.done.wiped ? " is in place; there is no way back to the old state"
                                               : " is in place, the old state is put aside"));
  if (s.done.undo_wanted) return undo();
  if (s.stop) return end_as_stopped();
  prepare_first_start();
}

void stepper::prepare_first_start() {
  if (!has_imported() && (s.done.first_starts > 0 || s.done.imports > 0)) return rewipe();
  launch();
}

void stepper::rewipe() {
  s.now = rewiping{};
  run(ports::worker_mode::rewipe);
}

void stepper::on_rewiped(const ports::worker_result& r) {
  if (s.done.undo_wanted) return undo();
  if (s.stop) return end_as_stopped();
  if (!r.ok()) {
    if (++s.tries < tries_of_a_roll_back) return pause_before(step::rewipe, s.tries, r.error);
    return roll_back(after_roll_back::end_rolled_back, r.error);
  }
  s.tries = 0;
  launch();
}

void stepper::launch() {
  if ((s.done.at == mark::swapped || s.done.at == mark::importing) && !import_words().empty()) return import();
  commit(first_start{s.done.first_starts + 1});
  if (!s.first_try) s.first_try = now.mono;
  s.now = starting{};
  say("first_start", "first start on " + chosen_name());
  out.emplace_back(start_node{extra_arguments()});
}

// Longer than a start may take: no probe is asked, and its end is its answer.
void stepper::import() {
  commit(importing{s.done.imports + 1});
  if (!s.first_try) s.first_try = now.mono;
  s.now = starting{};
  say("importing", "importing " + chosen_name());
  out.emplace_back(start_node{{}, import_words()});
}

void stepper::on_import_ended() {
  commit(imported{});
  s.environment_exits = 0;
  s.first_try.reset();
  say("imported", chosen_name() + " is imported");
  look();
}

// Beyond the snapshot the extra arguments are gone for good.
void stepper::launch_again() {
  if (!s.first_try) s.first_try = now.mono;
  s.now = starting{};
  out.emplace_back(start_node{});
}

// A node that loads a snapshot by argument loses it when it is stopped before its first new block.
bool stepper::stop_must_wait() const {
  return s.done.at == mark::first_start && !s.stop_by_force && !extra_arguments().empty();
}

void stepper::say_stop_waits() {
  say("stop_waits", "the stop waits for the first block beyond " + chosen_name() +
                        ", before which the restored state would be lost; `hasup stop --force` does not wait");
}

// In that time it could not have started, so it is none of what it has for it.
void stepper::on_start_waited(base::duration length) {
  if (s.first_try) *s.first_try += length;
}

void stepper::on_node_started() {
  if (auto* c = std::get_if<cleaning>(&s.now)) {
    c->node_up = true;
    c->node_starting = false;
    if (s.stop) out.emplace_back(stop_node{});
    return settle_clean_up();
  }
  if (!std::holds_alternative<starting>(s.now)) return;
  running r;
  r.base = sure_block_of(*s.done.chosen());
  r.last_advance = now.mono;
  if (s.done.at == mark::loaded) r.since = now.mono;
  s.now = r;
  s.confirmed_by_itself = false;
  if (s.done.undo_wanted) return undo();
  if (s.stop && !stop_must_wait()) return stop_running_node(true);
  if (s.stop) say_stop_waits();
  arm_running_timer();
}

void stepper::on_startup_passed() {
  auto* r = std::get_if<running>(&s.now);
  if (r == nullptr || r->startup_passed) return;
  r->startup_passed = true;
  r->last_advance = now.mono;
  check_running();
}

void stepper::on_head(const head_seen& e) {
  if (s.head_unknown && e.number) return on_head_beside(*e.number);
  auto* r = std::get_if<running>(&s.now);
  if (r == nullptr || !e.number) return;
  r->answered = now.mono;
  if (!r->base) r->base = e.number;  // nobody says the snapshot's block for sure: the first head stands for it
  if (r->last && *e.number <= *r->last) return;
  r->last = e.number;
  r->last_advance = now.mono;
  r->stands = false;
  r->told_at.reset();
  check_running();
}

void stepper::on_health(model::health health) {
  auto* r = std::get_if<running>(&s.now);
  if (r == nullptr || health == model::health::unknown) return;
  r->healthy = health == model::health::healthy;
  if (r->healthy) check_running();
}

bool stepper::is_loaded(const running& r) const {
  const bool by_health = r.startup_passed && r.healthy;
  const bool has_block = sure_block_of(*s.done.chosen()).has_value();
  if (s.done.plan.recipe.confirm == model::confirm_when::healthy && (!has_block || extra_arguments().empty()))
    return by_health;
  if (!s.done.plan.has_head) return by_health;
  if (!r.last) return false;
  return *r.last > *r.base;
}

bool stepper::is_confirmed(const running& r) const {
  if (!r.since || now.mono - *r.since < proving_time(s)) return false;
  if (goes_by_health(s)) return r.startup_passed && r.healthy;
  // An advance just now.
  return r.last && r.last_advance == now.mono && *r.last > *r.base;
}

void stepper::check_running() {
  if (s.done.at == mark::first_start && is_loaded(std::get<running>(s.now))) {
    on_loaded();
    if (!std::holds_alternative<running>(s.now)) return;
  }
  const auto& r = std::get<running>(s.now);
  const bool is_due = !s.confirmed_by_itself && is_confirmed(r);
  if (s.done.at == mark::loaded && (is_due || group_has_confirmed())) return on_confirmed();
  arm_running_timer();
}

void stepper::on_loaded() {
  commit(loaded{});
  auto& r = std::get<running>(s.now);
  r.since = now.mono;
  s.environment_exits = 0;
  say("loaded", r.last ? "head " + std::to_string(*r.last) + " is beyond " + chosen_name()
                       : "the node runs on " + chosen_name());
  if (s.stop) stop_running_node(true);
}

bool stepper::may_load(const running& r) const {
  return recovery::may_load(s, r);
}

base::duration stepper::limit_of(const running& r) const {
  return recovery::limit_of(s, r);
}

outlook outlook_of(const state& s) {
  const auto* r = std::get_if<running>(&s.now);
  if (r == nullptr) return {};
  outlook out;
  out.head = r->last;
  if (s.done.at == mark::loaded && proving_time(s).count() > 0) out.confirms_at = *r->since + proving_time(s);
  out.stands = r->stands;
  if (!s.done.wiped && !r->stands) out.gives_up_at = r->last_advance + limit_of(s, *r);
  return out;
}

void stepper::arm_running_timer() {
  const auto& r = std::get<running>(s.now);
  auto due = r.stands ? now.mono + std::min<base::duration>(limit_of(r), look_at_others_every)
                      : r.last_advance + limit_of(r);
  if (s.done.at == mark::loaded && !s.confirmed_by_itself && goes_by_health(s) && r.startup_passed && r.healthy)
    due = std::min(due, *r.since + proving_time(s));
  const auto left = std::chrono::ceil<base::duration>(due - now.mono);
  out.emplace_back(start_timer{std::max(left, base::duration{1})});
}

// A chain that halted, or an uplink that is gone, looks like this on every snapshot.
bool stepper::only_stands_still(const running& r) const {
  const auto recent = std::min<base::duration>(limit_of(r) / 2, look_at_others_every);
  return s.done.at != mark::importing && !goes_by_health(s) && r.last && r.answered &&
         now.mono - *r.answered <= recent;
}

void stepper::wait_for_the_chain(const std::string& why, const others_seen& others) {
  auto& r = std::get<running>(s.now);
  r.stands = true;
  if (!r.told_at || now.mono - *r.told_at >= limit_of(r)) {
    r.told_at = now.mono;
    say("stands", why + ", and nothing shows that others advance (" + others.text +
                      "): it runs and is waited for, and nothing is held against the snapshot; `hasup recover " +
                      unit_name() + " --rollback` puts the old state back");
  }
  arm_running_timer();
}

void stepper::on_running_timer(const others_seen& others) {
  auto& r = std::get<running>(s.now);
  if (s.done.at == mark::loaded && !s.confirmed_by_itself && is_confirmed(r)) return on_confirmed();
  if (s.done.at == mark::loaded && goes_by_health(s) && r.startup_passed && r.healthy)
    r.last_advance = now.mono;  // it only has to stay so, or waits for the group
  const auto limit = limit_of(r);
  if (now.mono - r.last_advance < limit) return arm_running_timer();
  std::string why = s.done.at == mark::importing ? "the import did not end"
                    : may_load(r)                ? "the node did not start"
                    : r.last                     ? "the head did not advance"
                                                 : "the node did not become healthy";
  why += " within " + base::format_duration(limit) + " on " + chosen_name();
  // There is nothing better to go back to.
  if (s.done.wiped) {
    say("waiting", why + "; it is left running: the old state was deleted, and this is all there is");
    r.last_advance = now.mono;
    return arm_running_timer();
  }
  if (only_stands_still(r) && !others.advance) return wait_for_the_chain(why, others);
  if (r.stands && others.advance) why += ", and others advance: " + others.text;
  // It did not end by itself: the snapshot may be good, it is only not tried again in this recovery.
  commit(dropped{*s.done.current, fate::environment, why});
  roll_back(after_roll_back::next, why);
}

void stepper::stop_running_node(bool park) {
  s.confirmed_by_itself = false;
  out.emplace_back(cancel_timer{});
  out.emplace_back(stop_node{});
  s.now = stopping_node{park};
}

void stepper::on_node_exited(const node_exited& e) {
  if (auto* c = std::get_if<cleaning>(&s.now)) {
    const bool last_try = c->node_starting;
    c->node_up = c->node_starting = false;
    // It ends again and again, and cannot be handed over yet.
    if (c->cleaned && last_try && !s.stop && group_may_need_us()) {
      c->pausing = true;
      out.emplace_back(start_timer{longest_pause});
      return;
    }
    // It was started once more for nothing but to hand a living node over: its exit is the unit's business again.
    if (c->cleaned && last_try && !s.stop) return end(outcome::recovered, "recovered, but the node ended again");
    return settle_clean_up();
  }
  if (const auto* stopping = std::get_if<stopping_node>(&s.now)) {
    if (stopping->park) return end_as_stopped();
    return quiesce_first();
  }
  if (!std::holds_alternative<running>(s.now) && !std::holds_alternative<starting>(s.now)) return;
  s.confirmed_by_itself = false;
  out.emplace_back(cancel_timer{});
  if (s.done.undo_wanted) return undo();
  if (s.stop) return end_as_stopped();
  // An exit with 0 of which no class and no refused_by says otherwise.
  const bool well = std::holds_alternative<running>(s.now) && e.status.code == 0 &&
                    e.kind == exit_kind::unexplained && e.refused_line.empty();
  if (s.done.at == mark::importing && well) return on_import_ended();
  judge_exit(e);
}

// Who is to blame: the plan (refused), the snapshot (it ended by itself), or nobody.
void stepper::judge_exit(const node_exited& e) {
  const bool never_ran = std::holds_alternative<starting>(s.now);
  const std::string who = s.done.at == mark::importing ? "the import" : "the node";
  std::string what = who + (never_ran ? " could not be started" : " ended with " + model::to_text(e.status));
  if (!e.class_name.empty() && (never_ran || !e.status.signal)) what += ": " + e.class_name;
  // A full disk ends a node in the middle of a write, whatever its status says.
  const bool cut_off =
      e.kind == exit_kind::hold || (e.kind == exit_kind::environment && (e.status.signal || e.status.lost()));
  if (cut_off && !never_ran) s.tainted = s.tainted || keeps_its_state();
  s.now = stopping_node{};  // whatever follows, no node runs

  if (s.done.at <= mark::first_start && !e.refused_line.empty()) {
    const auto why = who + " refused it with plan \"" + s.done.chosen_plan()->name + "\": " + e.refused_line;
    commit(dropped{*s.done.current, fate::refused, why});
    if (!other_plan_fits(s.done)) remember_bad();
    return roll_back(after_roll_back::next, why);
  }
  if (!e.evidence.empty() && e.kind != exit_kind::environment) what += " (" + e.evidence + ")";
  if (e.kind == exit_kind::environment || e.kind == exit_kind::hold) return retry_start(e, what);
  if (s.tainted && s.done.restagings < most_restagings)
    return roll_back(after_roll_back::again, what + ", after it had been cut off; the same snapshot once more");
  commit(dropped{*s.done.current, s.tainted ? fate::environment : fate::bad, what});
  if (!s.tainted) remember_bad();
  roll_back(after_roll_back::next, what);
}

// A kill, a taken port, exhausted memory, a full disk: the same once more, for as long as a person would wait.
void stepper::retry_start(const node_exited& e, const std::string& what) {
  ++s.environment_exits;
  const bool waited = s.first_try && now.mono - *s.first_try >= s.done.plan.recipe.confirm_within;
  const bool enough = e.kind == exit_kind::hold ? s.environment_exits >= tries_of_a_held_start
                                                : s.environment_exits >= tries_of_a_start && waited;
  // What would be taken away is all there is, where the old state was deleted.
  if (!enough || s.done.wiped) return pause_before(step::start, s.environment_exits, what);
  const auto why =
      what + ", " + std::to_string(s.environment_exits) + " times in a row; this is not the snapshot's fault";
  commit(dropped{*s.done.current, fate::environment, why});
  roll_back(after_roll_back::end_rolled_back, why);
}

void stepper::roll_back(after_roll_back then, const std::string& why, bool renamed_nothing) {
  const bool alive = std::holds_alternative<running>(s.now);
  s.confirmed_by_itself = false;
  s.tries = 0;
  if (group_keeps()) return keep_with_the_group(alive, why);
  if (renamed_nothing && !s.done.swaps.empty()) std::erase(s.remembered.swaps, s.done.swaps.back());
  commit(rolling_back{then, why, renamed_nothing});
  say("rolling_back", why + (s.done.wiped ? "; taking away what it brought" : "; putting the old state back"));
  if (alive) return stop_running_node(false);
  quiesce_first();
}

// Nothing is held against the snapshot: a person, or the group, may have it again.
void stepper::undo() {
  const bool for_group = !s.done.undo_why.empty();
  const auto why = for_group ? s.done.undo_why : "rolled back by hand from " + chosen_name();
  const auto then = !for_group  ? after_roll_back::end_by_hand
                    : follows() ? after_roll_back::end_rolled_back
                                : after_roll_back::next;
  if (for_group && s.done.at != mark::rolling_back) commit(dropped{*s.done.current, fate::unreachable, why});
  auto* stopping = std::get_if<stopping_node>(&s.now);
  if (stopping == nullptr && !std::holds_alternative<quiescing>(s.now) && s.done.at != mark::rolling_back) {
    out.emplace_back(cancel_timer{});
    return roll_back(then, why);
  }
  // What is under way leads there as soon as the journal says so.
  commit(rolling_back{then, why});
  say("rolling_back", why + "; putting the old state back");
  if (stopping != nullptr) stopping->park = false;
}

void stepper::run_roll_back() {
  s.now = rolling_back_now{};
  run(ports::worker_mode::roll_back);
}

void stepper::on_rolled_back(const ports::worker_result& r) {
  if (!r.ok()) {
    if (++s.tries < tries_of_a_roll_back) return pause_before(step::roll_back, s.tries, r.error);
    if (s.done.wiped)
      return end(outcome::stuck, "what " + chosen_name() + " brought could not be taken away: " + r.error +
                                     "; `hasup start " + unit_name() + "` tries again");
    return end(outcome::stuck, "the old state could not be put back: " + r.error + "; it is safe in " +
                                   ".hasup/aside of the data directory, `hasup start " + unit_name() +
                                   "` tries again");
  }
  s.tries = 0;
  for (const auto& note : r.notes) say("note", note);
  commit(rolled_back{r.inexact});
  say("rolled_back", s.done.wiped ? "what it brought is taken away; the old state was deleted" : old_state_is_back());
  after_rolled_back();
}

std::string stepper::old_state_is_back() const {
  return s.done.inexact.empty() ? "the old state is back as it was" : "the old state is back, but " + s.done.inexact;
}

void stepper::after_rolled_back() {
  const auto& p = s.done;
  switch (p.then) {
    case after_roll_back::end_refused:
      return end(outcome::refused, p.last_why + untouched());
    case after_roll_back::end_rolled_back:
      return give_up(outcome::rolled_back, p.last_why);
    case after_roll_back::end_by_hand:
      return end(outcome::cancelled, p.last_why + "; " + old_state_is_back());
    case after_roll_back::again:
    case after_roll_back::next:
      break;
  }
  if (s.stop && p.wiped) return end_as_stopped();
  if (s.stop) return end(outcome::cancelled, "stopped; " + old_state_is_back());
  if (p.then == after_roll_back::again && budget_left()) return try_candidate(*p.current);
  try_next();
}

}  // namespace hasup::recovery
