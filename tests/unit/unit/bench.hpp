// Drives one instance through events and reads the trace of states and actions.
#pragma once

#include "unit/machine.hpp"

#include <catch2/catch.hpp>
#include <string>

namespace hasup::unit {

inline std::string text(const action& a) {
  struct {
    std::string operator()(const prepare&) const { return "prepare"; }
    std::string operator()(const cancel_prepare&) const { return "cancel_prepare"; }
    std::string operator()(const spawn&) const { return "spawn"; }
    std::string operator()(const send_stop&) const { return "send_stop"; }
    std::string operator()(const send_signal&) const { return "send_signal"; }
    std::string operator()(const term_tree&) const { return "term_tree"; }
    std::string operator()(const kill_tree&) const { return "kill_tree"; }
    std::string operator()(const start_timer& t) const { return "timer " + base::format_duration(t.after); }
    std::string operator()(const cancel_timers&) const { return ""; }
    std::string operator()(const start_startup_probe&) const { return "probe startup"; }
    std::string operator()(const start_steady_probes&) const { return "probe steady"; }
    std::string operator()(const stop_probes&) const { return ""; }
    std::string operator()(const begin_recovery&) const { return "begin_recovery"; }
    std::string operator()(const prepare_recovery& r) const {
      return "prepare_recovery newer than " + std::to_string(r.newer_than);
    }
    std::string operator()(const resume_recovery&) const { return "resume_recovery"; }
    std::string operator()(const stop_recovery& r) const {
      return "stop_recovery" + (r.called_off.empty() ? "" : " (" + r.called_off + ")");
    }
    std::string operator()(const approve_recovery&) const { return "approve_recovery"; }
    std::string operator()(const leave_endpoint& l) const { return "leave_endpoint " + l.upstream; }
    std::string operator()(const emit& e) const { return "!" + e.kind; }
  } visitor;
  return std::visit(visitor, a);
}

struct bench {
  model::unit unit;
  model::recipe recipe;
  memory m;
  facts f;
  bool with_recipe = false;
  actions last;  // of the last event

  bench() {
    unit.id = {"leap", 0};
    unit.run.stop_timeout = base::duration{10'000};
    unit.restart.backoff_jitter = 0;
    f.now = base::wall_time{} + std::chrono::hours{1000};
  }
  void add_recovery() {
    unit.recovery.recipe = "nodeos";
    recipe.failed_starts = 2;
    with_recipe = true;
  }
  void add_startup() { unit.startup = model::probe{}; }
  void add_readiness() { unit.readiness = model::probe{}; }

  // "state: action, action" after the event.
  std::string feed(const event& e) {
    f.unit = &unit;
    f.recipe = with_recipe ? &recipe : nullptr;
    actions out;
    next(m, e, f, out);
    std::string line(model::unit_state_names.text(name_of(m.now)));
    line += ":";
    last = out;
    for (const auto& a : out)
      if (const auto t = text(a); !t.empty()) line += " " + t + ";";
    return line;
  }
  void run() {
    feed(start_wanted{});
    feed(prepared{});
    feed(spawned{100});
    if (unit.startup) feed(startup_passed{});
    REQUIRE(name_of(m.now) == model::unit_state::running);
  }
  std::string exits(int code, exit_action what = exit_action::unexplained) {
    classification c;
    c.action = what;
    if (what != exit_action::unexplained) c.name = "a class";
    feed(main_exited{{code, std::nullopt, false}, c});
    return feed(tree_emptied{});
  }
  model::unit_state state() const { return name_of(m.now); }
};

}  // namespace hasup::unit
