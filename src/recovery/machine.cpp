#include "recovery/machine.hpp"

#include <algorithm>
#include <set>
#include <stdexcept>

#include "recovery/candidates.hpp"
#include "recovery/freeze.hpp"
#include "recovery/stepper.hpp"

namespace hasup::recovery {
namespace {

std::string_view phase_of_mark(mark at) {
  switch (at) {
    case mark::none:
      return "";
    case mark::begun:
      return "select";
    case mark::selected:
    case mark::trying:
      return "fetch";
    case mark::wiping:
      return "wipe";
    case mark::staged:
      return "stage";
    case mark::swapping:
      return "swap";
    case mark::importing:
      return "import";
    case mark::swapped:
    case mark::imported:
    case mark::first_start:
      return "first_start";
    case mark::loaded:
      return "confirm";
    case mark::confirmed:
      return "clean_up";
    case mark::rolling_back:
      return "roll_back";
  }
  return "";
}

std::string_view phase_of_step(step s, mark at) {
  switch (s) {
    case step::inspect:
      return "quiesce";
    case step::select:
      return "select";
    case step::fetch:
      return "fetch";
    case step::unpack:
      return "stage";
    case step::wipe:
      return "wipe";
    case step::swap:
      return "swap";
    case step::roll_back:
      return "roll_back";
    case step::look:
    case step::rewipe:
    case step::start:
      break;
  }
  return phase_of_mark(at);
}

}  // namespace

std::string_view phase_of(const state& s) {
  if (takes_a_begin(s)) return "";
  if (is<inspecting>(s) || is<undoing_leftover>(s)) return "quiesce";
  if (is<quiescing>(s) && !s.done.beyond_swap()) return "quiesce";
  if (is<selecting>(s) || is<measuring>(s)) return "select";
  if (is<fetching>(s)) return "fetch";
  if (is<unpacking>(s)) return "stage";
  if (is<taking_up>(s)) return s.done.sha256.empty() ? "fetch" : "stage";
  if (const auto* p = std::get_if<pausing>(&s.now)) return phase_of_step(p->then, s.done.at);
  return phase_of_mark(s.done.at);
}

std::optional<room_promised> promised_room(const state& s, const ports::worker_progress& progress) {
  if (!s.need || takes_a_begin(s)) return std::nullopt;
  if (s.done.at == mark::trying || s.done.at == mark::wiping) {
    const auto left = still_to_write(*s.need, progress);
    if (s.done.wiped_for_current || s.need->freed == 0) return room_promised{s.device, left};
    // What deleting the old state gives is not there for others, but not theirs to miss either.
    const auto later = s.need->unpacked + s.need->rebuilt;
    const auto to_fetch = left > later ? left - later : 0;
    return room_promised{s.device, std::max(to_fetch, left > s.need->freed ? left - s.need->freed : 0)};
  }
  if (s.done.at >= mark::staged && s.done.at <= mark::first_start) return room_promised{s.device, s.need->rebuilt};
  return std::nullopt;
}

bool before_swap(const state& s) {
  return !s.done.touched();
}

// Nothing but the memory outlives a recovery.
void stepper::start_over(progress done) {
  state fresh;
  fresh.remembered = std::move(s.remembered);
  fresh.done = std::move(done);
  s = std::move(fresh);
}

void stepper::commit(const record& r) {
  if (const auto ok = apply(s.done, r); !ok)
    throw std::logic_error("recovery of " + unit_name() + ": " + ok.error().message);
  out.emplace_back(write{r});
}

void stepper::say(std::string kind, std::string why) {
  out.emplace_back(report{"recovery_" + std::move(kind), std::move(why)});
}

void stepper::run(ports::worker_mode mode) {
  const auto& p = s.done;
  auto job = job_of(p.plan, mode);
  job.unpack_ahead = mode == ports::worker_mode::fetch && !s.in_place;
  const bool looks = mode == ports::worker_mode::inspect || mode == ports::worker_mode::measure;
  job.look_for_warm = looks && p.at == mark::begun;
  if (mode == ports::worker_mode::fetch) {
    job.settled = p.settled;
    job.settled_by = p.settled_by;
  }
  if (const auto* c = p.chosen())
    job.chosen = mode == ports::worker_mode::fetch ? without_bad_mirrors(*c, s.remembered) : *c;
  if (const auto* plan = p.chosen_plan())
    job.plan = *plan;
  else if (!p.plan.recipe.plans.empty())
    job.plan = p.plan.recipe.plans.front();
  if (mode == ports::worker_mode::fetch || mode == ports::worker_mode::unpack)
    job.must_bring = must_be_brought(p.plan.recipe, job.plan);
  out.emplace_back(run_worker{std::move(job)});
}

// parked, asking and stuck keep the journal; with all others the recovery is over and leaves nothing behind, or, in
// place, the marker that forbids a start, the empty place of the old state, and the archives.
void stepper::end(outcome how, std::string why) {
  out.emplace_back(cancel_timer{});
  const bool follows = this->follows();
  const auto set = s.done.plan.asked.set;
  const bool for_group = !s.done.undo_why.empty();
  const bool over = how != outcome::parked && how != outcome::stuck && how != outcome::recovered;
  if (over && s.done.wiped) {
    how = outcome::emptied;
    why += what_is_left();
  }
  std::vector<std::string> useless;
  // Where the old state is deleted they may be all there is, and a person is told where they are.
  if (over && how != outcome::asking && how != outcome::emptied) useless = useless_archives(s.done);
  if (how != outcome::parked && how != outcome::stuck) {
    if (s.done.at != mark::none) out.emplace_back(clear_journal{});
    if (how != outcome::emptied) out.emplace_back(release_readers{});
    s.done = progress{};
  }
  s.now = ended{how};
  const bool own_doing = follows && how != outcome::recovered && how != outcome::parked && how != outcome::stuck &&
                         s.abandoned.empty() && !for_group;
  s.gave_up_on = own_doing ? set : "";
  s.gave_up_why = own_doing ? why : "";
  s.abandoned.clear();
  s.stop = s.stop_by_force = s.confirmed_by_itself = false;
  out.emplace_back(finish{how, std::move(why), std::move(useless)});
}

// 1 s, 2 s, 4 s … at most longest_pause; `tries` were in vain.
void stepper::pause_before(step then, unsigned tries, const std::string& why) {
  auto length = base::duration{1000} * (1U << std::min(tries > 0 ? tries - 1 : 0, 10U));
  length = std::min<base::duration>(length, longest_pause);
  s.now = pausing{then};
  say("retry", why + "; again in " + base::format_duration(length));
  out.emplace_back(start_timer{length});
}

void stepper::remember_bad() {
  if (const auto* c = s.done.chosen(); c != nullptr) remember_as_bad(s.remembered, *c, s.done.sha256);
}

bool stepper::is_remembered_bad(const std::string& key) const {
  return std::find(s.remembered.bad.begin(), s.remembered.bad.end(), key) != s.remembered.bad.end();
}

std::string stepper::chosen_name() const {
  const auto* c = s.done.chosen();
  return c ? name_of(*c) : "";
}

void stepper::begin(const begin_wanted& e) {
  if (!takes_a_begin(s)) return;
  start_over(progress{});
  s.remembered.forgiven = false;
  const auto& plans = e.plan.recipe.plans;
  const auto& asked = e.plan.asked;
  s.done.plan = e.plan;  // for the texts; the journal's own copy comes with `begun`
  if (plans.empty()) return end(outcome::refused, "recipe " + e.plan.recipe.name + " has no plan to recover with");
  if (!asked.plan.empty() &&
      std::none_of(plans.begin(), plans.end(), [&](const auto& p) { return p.name == asked.plan; })) {
    std::string names;
    for (const auto& p : plans) names += (names.empty() ? "\"" : ", \"") + p.name + "\"";
    return end(outcome::refused,
               "recipe " + e.plan.recipe.name + " has no plan \"" + asked.plan + "\", only " + names);
  }
  if (!budget_left()) return end(outcome::refused, budget_text());
  commit(begun{e.plan});
  say("began", e.plan.why);
  if (e.plan.asked.beside) return go_on_before_swap();
  quiesce_first(false);
}

// Before anything was touched nothing is left of it; else it goes on with the next start.
void stepper::end_as_stopped() {
  if (!s.abandoned.empty() && !s.done.beyond_swap()) return end(outcome::refused, s.abandoned + untouched());
  if (before_swap(s))
    return end(outcome::cancelled,
               s.done.was_rolled_back ? "stopped; " + old_state_is_back() : "stopped before anything was touched");
  end(outcome::parked, "stopped; `hasup start " + unit_name() + "` goes on with the recovery");
}

void stepper::stop(bool force) {
  if (takes_a_begin(s)) return;
  if (is<asking>(s)) {
    if (s.done.wiped) return end_as_stopped();
    return end(outcome::cancelled,
               "stopped while it asked; " + (s.done.was_rolled_back ? old_state_is_back() : "nothing was touched"));
  }
  const bool first = !s.stop;
  s.stop = true;
  s.stop_by_force = s.stop_by_force || force;
  if (is<selecting>(s) || is<measuring>(s) || is<fetching>(s) || is<unpacking>(s) || is<inspecting>(s) ||
      is<looking>(s) || is<taking_up>(s)) {
    s.now = cancelling{};
    out.emplace_back(cancel_worker{});
  } else if (is<gathering>(s) || is<awaiting_head>(s)) {
    end_as_stopped();
  } else if (const auto* p = std::get_if<pausing>(&s.now); p != nullptr && p->then != step::roll_back) {
    end_as_stopped();
  } else if (is<running>(s)) {
    if (!stop_must_wait()) return stop_running_node(true);
    if (first) say_stop_waits();
  } else if (is<cleaning>(s)) {
    const auto& c = std::get<cleaning>(s.now);
    if (first && c.node_up) out.emplace_back(stop_node{});
    if (force && c.worker_busy) out.emplace_back(cancel_worker{});  // what it leaves is deleted after the next start
    settle_clean_up();
  }
  // quiescing, undoing_leftover, wiping_now, swapping_now, rewiping, starting, rolling_back_now, stopping_node,
  // cancelling: `stop` is looked at when their answer comes.
}

void stepper::approve() {
  if (takes_a_begin(s) || s.done.at == mark::none) return;
  if (s.in_place ? s.done.approved_in_place : s.done.is_approved) return;
  commit(approved{s.in_place});
  if (!is<asking>(s)) return;
  say("approved", "a person said yes to " + chosen_name());
  quiesce_first();
}

void stepper::cancel() {
  if (takes_a_begin(s)) return;
  if (before_swap(s)) return stop(false);
  if (!s.done.beyond_swap())
    return say("not_cancelled", "too late to cancel, the old state is deleted; `hasup stop " + unit_name() +
                                    "` stops the recovery where it is");
  say("not_cancelled", "too late to cancel, " + chosen_name() + " is in place; `hasup stop " + unit_name() +
                           "` parks it, `hasup recover " + unit_name() + " --rollback` puts the old state back");
}

// Never while something moves files or spawns the node: their answers come soon.
void stepper::roll_back_by_hand() {
  if (takes_a_begin(s)) return;
  if (before_swap(s))
    return say("not_rolled_back", s.done.was_rolled_back
                                      ? old_state_is_back() + ", so there is nothing to put back"
                                      : "nothing was replaced yet, so there is nothing to put back");
  if (s.done.no_way_back())
    return say("not_rolled_back", "the old state was deleted to make room, so there is nothing to put back");
  if (s.done.at == mark::confirmed)
    return say("not_rolled_back", "too late: " + chosen_name() + " is confirmed and the old state is being deleted");
  if (group_keeps())
    return say("not_rolled_back", "too late: the others of group " + s.done.plan.group +
                                      " are confirmed on backup \"" + group_set() + "\"");
  const bool busy = is<swapping_now>(s) || is<rewiping>(s) || is<starting>(s) || is<looking>(s);
  if (!busy) return undo();
  if (!s.done.undo_wanted) commit(undo_wanted{});
  if (is<starting>(s)) out.emplace_back(stop_node{});  // it may wait for what it requires
}

void stepper::on_quiesced() {
  if (!is<quiescing>(s)) return;
  s.node_given = true;
  if (!s.stop && std::exchange(s.to_take_up, false)) return take_up(false);
  if (s.to_look) return look();
  go_on_quiesced();
}

// The node is down.
void stepper::go_on_quiesced() {
  if (s.done.at == mark::rolling_back) return run_roll_back();
  if (s.stop) return end_as_stopped();
  if (s.done.at == mark::wiping) return wipe();
  if (!s.done.beyond_swap()) return s.inspected ? go_on_before_swap() : inspect();
  if (s.done.at == mark::swapping) return swap();
  prepare_first_start();
}

void stepper::on_timer(const others_seen& others) {
  if (is<running>(s)) return on_running_timer(others);
  if (is<awaiting_head>(s)) return on_head_unheard();
  if (is<cleaning>(s)) {
    auto& c = std::get<cleaning>(s.now);
    if (std::exchange(c.pausing, false)) return settle_clean_up();
    if (c.worker_busy || c.cleaned) return;
    c.worker_busy = true;
    return run(ports::worker_mode::clean_up);
  }
  const auto* p = std::get_if<pausing>(&s.now);
  if (p == nullptr) return;
  switch (p->then) {
    case step::look:
    case step::start:
      return look();
    case step::inspect:
      return inspect();
    case step::select:
      return select();
    case step::fetch:
      return fetch();
    case step::unpack:
      return unpack();
    case step::wipe:
      return wipe();
    case step::swap:
      return swap();
    case step::rewipe:
      return rewipe();
    case step::roll_back:
      return run_roll_back();
  }
}

void stepper::on_worker_done(const ports::worker_result& r) {
  if (is<cancelling>(s)) return end_as_stopped();
  if (is<inspecting>(s)) return on_inspected(r);
  if (is<looking>(s)) return on_looked(r);
  if (is<undoing_leftover>(s)) return on_leftover_undone(r);
  if (is<selecting>(s)) return on_selected(r);
  if (is<measuring>(s)) return on_measured(r);
  if (is<fetching>(s)) return on_fetched(r);
  if (is<unpacking>(s)) return on_unpacked(r);
  if (is<wiping_now>(s)) return on_wiped(r);
  if (is<swapping_now>(s)) return on_swapped(r);
  if (is<rewiping>(s)) return on_rewiped(r);
  if (is<rolling_back_now>(s)) return on_rolled_back(r);
  if (is<cleaning>(s)) return on_cleaned(r);
}

namespace {

struct dispatcher {
  stepper& to;

  void operator()(const begin_wanted& e) const { to.begin(e); }
  void operator()(const resume_wanted& e) const { to.resume(e); }
  void operator()(const quiesced&) const { to.on_quiesced(); }
  void operator()(const worker_done& e) const { to.on_worker_done(e.result); }
  void operator()(const taken_up& e) const { to.on_taken_up(e); }
  void operator()(const start_waited& e) const { to.on_start_waited(e.length); }
  void operator()(const node_started&) const { to.on_node_started(); }
  void operator()(const node_exited& e) const { to.on_node_exited(e); }
  void operator()(const node_given&) const { to.on_node_given(); }
  void operator()(const startup_passed&) const { to.on_startup_passed(); }
  void operator()(const head_seen& e) const { to.on_head(e); }
  void operator()(const health_seen& e) const { to.on_health(e.health); }
  void operator()(const timer_fired& e) const { to.on_timer(e.others); }
  void operator()(const stop_wanted& e) const { to.stop(e.force); }
  void operator()(const approve_wanted&) const { to.approve(); }
  void operator()(const cancel_wanted&) const { to.cancel(); }
  void operator()(const roll_back_wanted&) const { to.roll_back_by_hand(); }
  void operator()(const group_seen& e) const { to.on_group(e); }
};

}  // namespace

void next(state& s, const event& e, instant now, actions& out) {
  stepper steps{s, now, out};
  std::visit(dispatcher{steps}, e);
}

}  // namespace hasup::recovery
