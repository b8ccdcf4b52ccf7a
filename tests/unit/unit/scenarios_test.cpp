// Every state and every event of the unit machine, and what it decides: held against scenarios/*.txt, so that a
// change of any decision is seen in review. HASUP_UPDATE_GOLDEN=1 writes them anew.
#include <cstdlib>
#include <fstream>
#include <map>
#include <set>
#include <sstream>
#include <vector>

#include "unit/unit/bench.hpp"

namespace hasup::unit {
namespace {

struct named_memory {
  std::string name;
  memory m;
};
struct named_event {
  std::string name;
  event e;
};
// How the unit is configured and what else is true of it.
struct world {
  std::string file;  // in scenarios/
  std::string about;
  void (*furnish)(bench&);
};

classification class_of(exit_action action, std::string name, std::string advice = "") {
  classification c;
  c.action = action;
  c.name = std::move(name);
  c.advice = std::move(advice);
  return c;
}

std::string text(after_stop then) {
  switch (then) {
    case after_stop::stop:
      return "stop";
    case after_stop::start:
      return "start";
    case after_stop::back_off:
      return "back off";
    case after_stop::recover:
      return "recover";
    case after_stop::fail:
      return "fail";
    case after_stop::complete:
      return "complete";
    case after_stop::hold:
      return "hold";
  }
  return "?";
}

constexpr auto all_after_stop = {after_stop::stop, after_stop::start,    after_stop::back_off, after_stop::recover,
                                 after_stop::fail, after_stop::complete, after_stop::hold};

std::string text(const state& s) {
  std::string out(model::unit_state_names.text(name_of(s)));
  if (const auto* at = std::get_if<starting>(&s)) {
    const char* const steps[] = {" (preparing)", " (spawning)", " (probing)"};
    out += steps[static_cast<std::size_t>(at->at)];
  } else if (const auto* st = std::get_if<stopping>(&s)) {
    out += std::string(st->draining ? ", draining" : "") + ", then " + text(st->then) +
           (st->main_gone ? ", main gone" : "") + (st->no_kill ? ", no kill" : "") +
           (st->term_sent ? ", strays asked" : "") + (st->by_command ? ", by command" : "") +
           (st->returns ? ", returns" : "");
  } else if (const auto* r = std::get_if<recovering>(&s)) {
    out += r->returns ? ", returns" : "";
  } else if (const auto* f = std::get_if<failed>(&s)) {
    out += f->held ? ", held" : f->recover_why.empty() ? "" : ", to recover again";
  }
  return out;
}

std::string text_of_all(const action& a) {
  if (std::holds_alternative<cancel_timers>(a)) return "cancel_timers";
  if (std::holds_alternative<stop_probes>(a)) return "stop_probes";
  if (const auto* t = std::get_if<start_timer>(&a)) {
    const char* const names[] = {"backoff",       "start_timeout", "stop_timeout",
                                 "prepare_again", "recover_again", "drain"};
    return std::string("timer ") + names[static_cast<std::size_t>(t->which)] + " " + base::format_duration(t->after);
  }
  if (const auto* r = std::get_if<stop_recovery>(&a))
    return std::string("stop_recovery") + (r->force ? " force" : "") + (r->no_kill ? " no_kill" : "") +
           (r->called_off.empty() ? "" : " \"" + r->called_off + "\"");
  return text(a);
}

memory in(state s, model::desired desired = model::desired::up) {
  memory m;
  m.now = std::move(s);
  m.desired = desired;
  m.reason = "as before";
  return m;
}

std::vector<named_memory> all_states(base::wall_time now) {
  using model::desired;
  std::vector<named_memory> out;
  const auto add = [&](memory m, const std::string& more = "") {
    out.push_back({text(m.now) + (m.desired == desired::up ? ", wanted" : ", not wanted") + more, std::move(m)});
  };
  add(in(stopped{}, desired::down));
  add(in(stopped{}));
  add(in(waiting{}));
  for (const auto at : {starting::step::preparing, starting::step::spawning, starting::step::probing}) {
    auto m = in(starting{at});
    m.starts = {now};
    add(m);
    if (at != starting::step::probing) continue;
    m.held.start_timeout = "too slow";
    add(m, ", start_timeout passed in maintenance");
  }
  auto young = in(running{});
  add(young, ", startup not passed");
  auto up = in(running{});
  up.startup_passed = true;
  up.health = model::health::healthy;
  up.healthy_since = now - base::duration{1'000};
  up.starts = {now, now, now};
  up.backoff_step = 3;
  add(up, ", healthy for a second, backoff step 3");
  up.healthy_since = now - base::duration{61'000};
  add(up, ", healthy for a minute, backoff step 3");
  up.held.parent_lost = "its shim died before";
  add(up, ", healthy for a minute, its shim died in maintenance");
  up.held = {};
  up.held.requirement_lost = "it is gone";
  add(up, ", healthy for a minute, what it requires was lost in maintenance");
  up.held = {};
  up.stuck_at = 150;
  up.stuck_restarts = 2;
  add(up, ", healthy for a minute, restarted twice for its head 150");
  add(in(completed{}));
  add(in(backoff{base::duration{1'000}, "the cause"}));
  for (const auto then : all_after_stop) {
    stopping s;
    s.then = then;
    s.why = "the cause";
    s.delay = base::duration{2'000};
    const auto wanted = then == after_stop::stop ? desired::down : desired::up;
    // What is about to be complete, or failed to start, has ended already.
    if (then != after_stop::complete && then != after_stop::hold) add(in(s, wanted));
    s.main_gone = true;
    add(in(s, wanted));
  }
  stopping s;
  s.no_kill = true;
  s.why = "the cause";
  add(in(s, desired::down));
  s.no_kill = false;
  s.main_gone = s.term_sent = true;
  add(in(s, desired::down));
  s.main_gone = s.term_sent = false;
  s.by_command = true;
  add(in(s, desired::down));
  s.no_kill = true;
  add(in(s, desired::down));
  s.no_kill = s.by_command = false;
  s.draining = true;
  add(in(s, desired::down));
  s.then = after_stop::start;
  add(in(s));
  s.draining = false;
  s.then = after_stop::recover;
  s.returns = true;
  add(in(s));
  for (const auto wanted : {desired::up, desired::down}) {
    add(in(recovering{"the cause", false}, wanted));
    add(in(recovering{"the cause", true}, wanted));
    add(in(failed{}, wanted));
    add(in(failed{"the cause"}, wanted));
    add(in(failed{"the cause", true}, wanted));
    add(in(asking{}, wanted));
  }
  return out;
}

void add_asked(std::vector<named_event>& out) {
  out.push_back({"start by hand", start_wanted{true}});
  out.push_back({"start, enabled", start_wanted{false}});
  out.push_back({"stop", stop_wanted{}});
  out.push_back({"stop --no-kill", stop_wanted{true, "stopped by hand", false}});
  out.push_back({"stop --force", stop_wanted{false, "stopped by hand", true}});
  out.push_back({"stop, once more", stop_wanted{false, "stopped by hand", false, true}});
  out.push_back({"adopt", adopt_wanted{"taking over pid 100"}});
  out.push_back({"restart", restart_wanted{}});
  out.push_back({"recover", recover_wanted{"asked for"}});
  out.push_back({"recover, prepared", recover_wanted{"all is staged", false, true}});
  out.push_back({"approved", approved{}});
  out.push_back({"reset", reset_wanted{}});
  out.push_back({"requirements changed", requirements_changed{}});
  for (const auto loss : {model::on_loss::keep, model::on_loss::restart, model::on_loss::stop})
    out.push_back(
        {"requirement lost, " + std::string(model::on_loss_names.text(loss)), requirement_lost{loss, "it is gone"}});
  out.push_back({"requirement lost, its data is restored",
                 requirement_lost{model::on_loss::restart, "its data is restored", true}});
}

void add_process(std::vector<named_event>& out) {
  using verdict = prepared::verdict;
  out.push_back({"prepared: ready", prepared{verdict::ready, ""}});
  out.push_back({"prepared: not yet", prepared{verdict::not_yet, "not mounted"}});
  out.push_back({"prepared: refused", prepared{verdict::refused, "another writer"}});
  out.push_back({"prepared: needs recovery", prepared{verdict::needs_recovery, "no state"}});
  out.push_back({"spawned", spawned{100}});
  out.push_back(
      {"spawn failed, unexplained", spawn_failed{class_of(exit_action::unexplained, "unexplained"), "why"}});
  out.push_back({"spawn failed, hold", spawn_failed{class_of(exit_action::hold, "no such program"), "no program"}});
  out.push_back({"adopted", adopted{100}});
  out.push_back({"adopted after 4m", adopted{100, base::duration{240'000}}});
  out.push_back({"adopted after 1h", adopted{100, base::duration{3'600'000}}});
  adopted uncounted{100};
  uncounted.uncounted = 9;
  uncounted.restarts = 8;
  out.push_back({"adopted, with starts that were not saved", uncounted});
  stopping told;
  told.then = after_stop::start;
  told.why = "restarted by hand";
  out.push_back({"adopted in a restart", adopted{100, {}, told}});
  told.draining = true;
  out.push_back({"adopted in a restart, draining", adopted{100, {}, told}});
  told.draining = false;
  told.then = after_stop::stop;
  told.no_kill = true;
  told.why = "stopped by hand";
  out.push_back({"adopted in a stop --no-kill", adopted{100, {}, told}});
  const auto exit = [&](const std::string& name, model::exit_status status, classification c) {
    out.push_back({"exited: " + name, main_exited{status, std::move(c)}});
  };
  exit("code 0", {0, std::nullopt, false}, {});
  exit("code 1", {1, std::nullopt, false}, {});
  exit("signal 9", {std::nullopt, 9, false}, {});
  exit("lost", {}, {});
  exit("code 2, class recover", {2, std::nullopt, false}, class_of(exit_action::recover, "dirty"));
  exit("code 3, class restart", {3, std::nullopt, false}, class_of(exit_action::restart, "no peer"));
  exit("code 4, class hold", {4, std::nullopt, false}, class_of(exit_action::hold, "port taken", "free it"));
  exit("code 0, class hold", {0, std::nullopt, false}, class_of(exit_action::hold, "disk full", "make room"));
  out.push_back({"tree empty", tree_emptied{}});
  out.push_back({"stop_command failed", stop_command_failed{"it says no"}});
  out.push_back({"startup passed", startup_passed{}});
  for (const auto h : {model::health::healthy, model::health::unhealthy, model::health::unknown})
    out.push_back({"health: " + std::string(model::health_names.text(h)), health_changed{h, "the probe says"}});
  out.push_back({"liveness failed", liveness_failed{"the probe says"}});
  out.push_back({"liveness failed, its head stands", liveness_failed{"head stands", 150}});
  out.push_back(
      {"liveness failed, its head stands on a full disk", liveness_failed{"head stands", 150, "disk full"}});
  out.push_back({"head 151 seen", head_seen{151}});
  out.push_back({"preparation failed", preparation_failed{"there is no snapshot"}});
  out.push_back({"memory exceeded", memory_exceeded{"too much memory"}});
  out.push_back({"space low", space_low{"too little space"}});
  out.push_back({"parent lost", parent_lost{"its shim died"}});
  out.push_back({"maintenance ended", maintenance_ended{}});
  out.push_back({"timer backoff", timer_fired{timer::backoff}});
  out.push_back({"timer start_timeout", timer_fired{timer::start_timeout}});
  out.push_back({"timer stop_timeout", timer_fired{timer::stop_timeout}});
  out.push_back({"timer prepare_again", timer_fired{timer::prepare_again}});
  out.push_back({"timer recover_again", timer_fired{timer::recover_again}});
  out.push_back({"timer drain", timer_fired{timer::drain}});
}

void add_recovery(std::vector<named_event>& out) {
  using outcome = recovery_ended::outcome;
  const auto ended = [&](const std::string& name, outcome is, auto change) {
    recovery_ended e{is, "the recovery says"};
    change(e);
    out.push_back({"recovery " + name, e});
  };
  const auto nothing = [](recovery_ended&) {};
  const auto alive = [](recovery_ended& e) { e.node_alive = true; };
  const auto later = [](recovery_ended& e) { e.try_later = true; };
  const auto altered = [](recovery_ended& e) { e.as_before = false; };
  ended("recovered", outcome::recovered, nothing);
  ended("failed", outcome::failed, nothing);
  ended("failed, try later", outcome::failed, later);
  ended("failed, node alive", outcome::failed, alive);
  ended("failed, it was for a stuck head", outcome::failed, [](recovery_ended& e) { e.returns = true; });
  ended("failed, data altered", outcome::failed, altered);
  ended("stopped", outcome::stopped, nothing);
  ended("stopped, node alive", outcome::stopped, alive);
  ended("stopped, data altered", outcome::stopped, altered);
  ended("asks", outcome::asking, nothing);
}

std::vector<named_event> all_events() {
  std::vector<named_event> out;
  add_asked(out);
  add_process(out);
  add_recovery(out);
  return out;
}

// What changed in the memory beside the state.
std::string changes(const memory& a, const memory& b) {
  std::ostringstream out;
  const auto number = [&](const char* name, auto was, auto is) {
    if (was != is) out << " " << name << "=" << is;
  };
  if (a.desired != b.desired) out << " desired=" << model::desired_names.text(b.desired);
  if (a.health != b.health) out << " health=" << model::health_names.text(b.health);
  number("starts", a.starts.size(), b.starts.size());
  number("backoff_step", a.backoff_step, b.backoff_step);
  number("failed_starts", a.failed_starts, b.failed_starts);
  number("stuck_restarts", a.stuck_restarts, b.stuck_restarts);
  number("stuck_at", a.stuck_at.value_or(0), b.stuck_at.value_or(0));
  number("recovery_tries", a.recovery_tries, b.recovery_tries);
  number("restarts", a.restarts, b.restarts);
  number("recoveries", a.recoveries, b.recoveries);
  number("startup_passed", a.startup_passed, b.startup_passed);
  number("killed", a.killed, b.killed);
  const auto held = [&](const char* name, const std::string& was, const std::string& is) {
    if (was != is) out << " " << name << "=" << (is.empty() ? "no" : "held");
  };
  held("parent_lost", a.held.parent_lost, b.held.parent_lost);
  held("start_timeout", a.held.start_timeout, b.held.start_timeout);
  held("requirement_lost", a.held.requirement_lost, b.held.requirement_lost);
  if (b.exit && !a.exit) out << " exit=\"" << to_text(b.exit->status) << ", " << b.exit->class_name << "\"";
  if (a.reason != b.reason) out << " \"" << b.reason << "\"";
  return out.str();
}

// "state; changes; actions", or "" when nothing came of it.
std::string decide(void (*furnish)(bench&), const memory& from, const event& e) {
  bench b;
  furnish(b);
  b.f.unit = &b.unit;
  b.f.recipe = b.with_recipe ? &b.recipe : nullptr;
  b.m = from;
  actions done;
  next(b.m, e, b.f, done);
  std::string out;
  if (text(b.m.now) != text(from.now)) out += " " + text(b.m.now) + ";";
  if (const auto c = changes(from, b.m); !c.empty()) out += c + ";";
  for (const auto& a : done) out += " [" + text_of_all(a) + "]";
  return out;
}

void node(bench& b) {
  b.add_startup();
  b.add_readiness();
  b.add_recovery();
  b.recipe.stuck_restarts = 2;
  b.f.reference.text = "api: no answer";
  b.unit.restart.start_limit_count = 3;
  b.unit.run.start_timeout = base::duration{300'000};
}
void plain(bench& b) {
  b.unit.restart.policy = model::restart_when::on_failure;
}
void never_again(bench& b) {
  node(b);
  b.unit.recovery = {};
  b.with_recipe = false;
  b.unit.restart.policy = model::restart_when::never;
}
void lacking(bench& b) {
  node(b);
  b.f.requirements_met = false;
  b.f.waiting_for = "waiting for leap (healthy)";
}
void in_maintenance(bench& b) {
  node(b);
  b.f.maintenance = true;
}
void draining_first(bench& b) {
  node(b);
  b.unit.run.drain_time = base::duration{5'000};
}
void parked(bench& b) {
  node(b);
  b.f.recovery_parked = true;
}

void damaged(bench& b) {
  parked(b);
  b.f.journal_damaged = true;
}

void beside(bench& b) {
  node(b);
  b.f.recovery_beside = true;
}

void beside_for_head(bench& b) {
  beside(b);
  b.f.beside_for_head = 150;
}

void others_advance(bench& b) {
  node(b);
  b.f.reference = {true, "api advances"};
}

const std::vector<world> worlds = {
    {"node", "A node with startup and readiness probes and [recovery]; policy always, 3 starts, requirements met.",
     node},
    {"plain", "No probe, no recovery, policy on_failure; only what differs from node.txt.", plain},
    {"never", "As node.txt without [recovery], policy never; only what differs.", never_again},
    {"lacking", "As node.txt while its requirements are not met; only what differs.", lacking},
    {"maintenance", "As node.txt in maintenance; only what differs.", in_maintenance},
    {"others", "As node.txt while others advance, which counts for a head that stands still; only what differs.",
     others_advance},
    {"drain", "As node.txt with a drain_time; only what differs.", draining_first},
    {"parked", "As node.txt with a recovery parked in its journal; only what differs.", parked},
    {"damaged", "As node.txt with a recovery parked in a journal that cannot be read; only what differs.", damaged},
    {"beside", "As node.txt while a recovery asked for by hand is prepared beside the node; only what differs.",
     beside},
    {"beside_for_head",
     "As node.txt while a recovery is prepared beside the node because its head stands still at 150; only what "
     "differs.",
     beside_for_head},
};

std::string trace(const world& w, const std::vector<named_memory>& states, const std::vector<named_event>& events) {
  const bool whole = w.furnish == node;
  std::ostringstream out;
  out << "# " << w.about << "\n# EVENT -> new state; what else changed \"reason\"; [actions]\n";
  for (const auto& s : states) {
    std::string block;
    std::string ignored;
    for (const auto& e : events) {
      const auto said = decide(w.furnish, s.m, e.e);
      if (!whole && said == decide(node, s.m, e.e)) continue;
      if (said.empty())
        ignored += (ignored.empty() ? "" : "; ") + e.name;
      else
        block += e.name + " ->" + said + "\n";
    }
    if (block.empty() && ignored.empty()) continue;
    out << "\n== " << s.name << "\n" << block;
    if (!ignored.empty()) out << "nothing comes of: " << ignored << "\n";
  }
  return out.str();
}

std::string file_text(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

}  // namespace

TEST_CASE("the scenarios know every state, every way to stop and every event") {
  std::set<std::size_t> states;
  std::set<std::size_t> found;
  for (const auto& s : all_states({})) states.insert(s.m.now.index());
  for (const auto& e : all_events()) found.insert(e.e.index());
  CHECK(states.size() == std::variant_size_v<state>);
  CHECK(found.size() == std::variant_size_v<event>);
}

TEST_CASE("what each state makes of each event is as reviewed") {
  const auto states = all_states(bench().f.now);
  const auto events = all_events();
  for (const auto& w : worlds) {
    const auto path = std::string(HASUP_SOURCE_DIR) + "/tests/unit/unit/scenarios/" + w.file + ".txt";
    const auto text = trace(w, states, events);
    if (std::getenv("HASUP_UPDATE_GOLDEN") != nullptr) std::ofstream(path, std::ios::binary) << text;
    INFO(path << ": HASUP_UPDATE_GOLDEN=1 test_unit writes it anew; review the difference");
    // By lines: a failure shows the decision, not two files.
    std::istringstream is(text);
    std::istringstream was(file_text(path));
    std::string a;
    std::string b;
    while (std::getline(is, a)) {
      if (!std::getline(was, b)) b = "(the end of the file)";
      REQUIRE(a == b);
    }
    CHECK_FALSE(std::getline(was, b));
  }
}

}  // namespace hasup::unit
