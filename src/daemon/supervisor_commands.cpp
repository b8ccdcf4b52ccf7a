// The commands of the control API: who is meant, who follows, in which order.
#include <fmt/format.h>

#include <algorithm>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>

#include "base/suggestion.hpp"
#include "base/time_text.hpp"
#include "daemon/supervisor.hpp"

namespace hasup::daemon {
namespace {

bool option(const control::command& c, const std::string& name) {
  const auto it = c.options.find(name);
  return it != c.options.end() && it->second != "false" && !it->second.empty();
}

std::string text_option(const control::command& c, const std::string& name) {
  const auto it = c.options.find(name);
  return it == c.options.end() ? std::string() : it->second;
}

recovery_options options_of(const control::command& c) {
  recovery_options o;
  o.snapshot = text_option(c, "snapshot");
  o.plan = text_option(c, "plan");
  o.from = text_option(c, "from");
  o.yes = option(c, "yes");
  o.by_hand = true;
  return o;
}

// A recovery that was stopped after the swap goes on with what it began with, whatever is asked for now.
std::string parked_instead(const unit_runner& r, const control::command& c) {
  const auto asked = options_of(c);
  const bool particular =
      option(c, "dry_run") || !asked.snapshot.empty() || !asked.plan.empty() || !asked.from.empty();
  if (!particular || !r.half_restored() || r.journal_is_damaged()) return {};
  const auto name = shown_name(r.spec());
  if (r.wiped())
    return fmt::format(
        "a recovery of {} was stopped half way, with its old state deleted: `hasup start {}` goes on "
        "with it",
        name, name);
  return fmt::format(
      "a recovery of {} was stopped half way: `hasup start {}` goes on with it, `hasup recover {} "
      "--rollback` puts the old state back",
      name, name, name);
}

}  // namespace

std::optional<supervisor::runners> supervisor::resolve(const control::command& c,
                                                       control::command_reply& error) const {
  runners out;
  const auto add = [&](const runner_ptr& r) {
    if (std::find(out.begin(), out.end(), r) == out.end()) out.push_back(r);
  };
  if (c.all)
    for (const auto& [id, r] : runners_) add(r);
  for (const auto& typed : c.targets) {
    if (typed.starts_with('@')) {
      const auto before = out.size();
      for (const auto& [id, r] : runners_) {
        const auto& g = r->spec().groups;
        if (std::find(g.begin(), g.end(), typed.substr(1)) != g.end()) add(r);
      }
      if (out.size() != before) continue;
      error = {exit_code::no_such_unit, "no unit is in the group \"" + typed.substr(1) + "\"", {}, {}};
      return std::nullopt;
    }
    const auto ref = model::parse_unit_reference(typed);
    bool found = false;
    for (const auto& r : ref ? instances_of(ref->unit) : runners{})
      if (!ref->index || *ref->index == r->spec().id.index) {
        add(r);
        found = true;
      }
    if (found) continue;
    if (ref && config_.units.contains(ref->unit)) {
      error = {exit_code::invalid_configuration,
               "the file of unit \"" + ref->unit + "\" is invalid; `hasup check` shows what is wrong",
               {},
               {}};
      if (ref->index && config_.units.at(ref->unit).valid)
        error = {
            exit_code::no_such_unit, fmt::format("unit \"{}\" has no instance {}", ref->unit, *ref->index), {}, {}};
      return std::nullopt;
    }
    std::vector<std::string_view> names;
    for (const auto& [name, entry] : config_.units) names.push_back(name);
    const auto near = base::nearest(typed, names);
    error = {exit_code::no_such_unit,
             "no unit \"" + typed + "\"" +
                 (near.empty() ? "; `hasup status` lists all" : "; did you mean \"" + std::string(near) + "\"?"),
             {},
             {}};
    return std::nullopt;
  }
  return out;
}

control::command_reply supervisor::execute(const control::command& c, const control::peer&) {
  control::command_reply error;
  if (c.verb == "apply") return apply_all(read_files(services_, counts_by_hand()), option(c, "dry_run"));
  if (c.verb == "upstream") return upstream_command(c);
  const auto targets = resolve(c, error);
  if (!targets) return error;
  if (targets->empty() && !c.all) return {exit_code::usage, "name a unit, a @group, or --all", {}, {}};
  if (c.verb == "start" && (!c.arguments.empty() || option(c, "from_nothing")))
    return start_once(*targets, c.arguments, option(c, "from_nothing"));
  if (c.verb == "start") return start(*targets, c.all);
  if (c.verb == "stop" && option(c, "for_shutdown")) return stop_for_shutdown(*targets, option(c, "no_kill"));
  if (c.verb == "stop") return stop(*targets, option(c, "no_kill"), option(c, "force"));
  if (c.verb == "restart") return restart(*targets, "restarted by hand");
  if (c.verb == "signal") return signal(*targets, text_option(c, "signal"));
  if (c.verb == "enable" || c.verb == "disable")
    return set_enabled(*targets, option(c, "reset") ? std::nullopt : std::optional(c.verb == "enable"));
  if (c.verb == "maintenance") return set_maintenance(*targets, text_option(c, "state"));
  if (c.verb == "recover") return recover(*targets, c);
  if (c.verb == "reset") return reset(*targets);
  if (c.verb == "why") return why(*targets);
  return {exit_code::usage, "unknown command \"" + c.verb + "\"", {}, {}};
}

// Answers once the intent is on disk: what was promised survives a crash.
void supervisor::execute_async(const control::command& c, const control::peer& who,
                               std::function<void(control::command_reply)> done) {
  if (c.verb == "apply") return read_and_apply(option(c, "dry_run"), std::move(done));
  if (c.verb == "recover" && option(c, "dry_run")) return dry_run(c, std::move(done));
  if (c.verb == "recover" && preflight(c, who, done)) return;
  if (c.verb == "reload") return reload(c, std::move(done));
  if (c.verb == "scale") return scale(c, std::move(done));
  if (c.verb == "start" && option(c, "adopt")) return start_adopt(c, std::move(done));
  if (c.verb == "upgrade") return upgrade_.begin(c, who, std::move(done));
  carry_out(c, who, std::move(done));
}

void supervisor::carry_out(const control::command& c, const control::peer& who,
                           std::function<void(control::command_reply)> done) {
  auto reply = execute(c, who);
  const bool only_looks = c.verb == "why" || (c.verb == "upstream" && c.targets.size() < 2);
  if (only_looks || reply.code != exit_code::done || option(c, "history")) return done(std::move(reply));
  // Events that the command caused are handled first, so that their outcome is in what is written.
  boost::asio::post(services_.loop,
                    [this, reply = std::move(reply), done = std::move(done)] { save_and_reply(reply, done); });
}

void supervisor::save_and_reply(control::command_reply reply, std::function<void(control::command_reply)> done) {
  save_intent([reply = std::move(reply), done = std::move(done)](const base::result<void>& saved) mutable {
    if (!saved) {
      reply.code = exit_code::failed;
      reply.message += (reply.message.empty() ? "" : "\n") +
                       ("it is being done, but a restart of hasupd would forget it: " + saved.error().message);
    }
    done(std::move(reply));
  });
}

// `all`: nobody named them, so what is not enabled is left as it is, and what is done already is not done again.
control::command_reply supervisor::start(const runners& wanted, bool all) {
  runners targets;
  for (const auto& r : wanted)
    if (!all || is_enabled(r->spec())) targets.push_back(r);
  std::vector<std::string> named;
  for (const auto& r : targets) named.push_back(r->spec().id.unit);
  const auto needed = graph::with_requirements(requirement_graph(), named);
  const std::set<std::string> closure(needed.begin(), needed.end());
  control::command_reply reply;
  for (const auto& name : start_order()) {
    for (const auto& r : instances_of(name)) {
      const bool asked = std::find(targets.begin(), targets.end(), r) != targets.end();
      // A requirement that runs or is on its way is left as it is; what was taken down with one of them comes back.
      const bool pulled_in = closure.contains(name) && !asked && r->memory().desired == model::desired::down;
      const bool returns = !r->taken_down_by.empty() && closure.contains(r->taken_down_by);
      if (!asked && !pulled_in && !returns) continue;
      if (all && r->state() == model::unit_state::completed) continue;
      stops_.erase(r->spec().id);
      r->taken_down_by.clear();
      r->dispatch(hasup::unit::start_wanted{true});
      reply.affected.push_back(to_text(r->spec().id));
    }
  }
  std::set<std::string> left_out;
  for (const auto& r : wanted) {
    const bool down = r->state() == model::unit_state::stopped || r->state() == model::unit_state::failed;
    if (all && down && !is_enabled(r->spec()) && !closure.contains(r->spec().id.unit))
      left_out.insert(r->spec().id.unit);
  }
  if (!left_out.empty())
    reply.message = fmt::format("not enabled, so left out: {}; by name it is started: hasup start {}\n",
                                fmt::join(left_out, ", "), *left_out.begin());
  return reply;
}

control::command_reply supervisor::start_once(const runners& targets, const std::vector<std::string>& arguments,
                                              bool from_nothing) {
  for (const auto& r : targets)
    if (from_nothing && r->spec().id.unit != targets.front()->spec().id.unit)
      return {exit_code::usage, "--from-nothing takes one unit: name it alone", {}, {}};
  for (const auto& r : targets)
    if (!r->at_rest() || r->recovery_active())
      return {exit_code::failed,
              shown_name(r->spec()) + " is not at rest; what is for one run needs a start: `hasup stop " +
                  shown_name(r->spec()) + "` first",
              {},
              {}};
  for (const auto& r : targets) r->for_next_run(arguments, from_nothing);
  return start(targets);
}

control::command_reply supervisor::stop(const runners& targets, bool no_kill, bool force, const std::string& why) {
  // A unit of which an instance stays up is still there for its dependents.
  std::vector<std::string> gone;
  for (const auto& r : targets) {
    const auto all = instances_of(r->spec().id.unit);
    const bool whole = std::all_of(all.begin(), all.end(), [&](const runner_ptr& i) {
      return std::find(targets.begin(), targets.end(), i) != targets.end();
    });
    if (whole) gone.push_back(r->spec().id.unit);
  }
  const auto with = graph::with_dependents(requirement_graph(), gone);
  const std::set<std::string> closure(with.begin(), with.end());
  auto order = start_order();
  std::reverse(order.begin(), order.end());
  control::command_reply reply;
  for (const auto& name : order) {
    for (const auto& r : instances_of(name)) {
      const bool asked = std::find(targets.begin(), targets.end(), r) != targets.end();
      const bool follows = !asked && closure.contains(name) && r->memory().desired == model::desired::up;
      if (!asked && !follows) continue;
      if (asked) r->taken_down_by.clear();
      if (follows) {
        for (const auto& need : r->spec().requires_units)
          if (closure.contains(need.unit)) r->taken_down_by = need.unit;
      }
      auto& entry = stops_[r->spec().id];  // one may be waiting: what was asked for then holds
      entry = {no_kill || entry.no_kill, force || entry.force, asked ? why : "stopped with " + r->taken_down_by,
               false, asked && r->drains()};
      reply.affected.push_back(to_text(r->spec().id));
    }
  }
  advance_stops();
  return reply;
}

control::command_reply supervisor::stop_for_shutdown(const runners& targets, bool no_kill) {
  for (const auto& [id, r] : runners_) r->return_after_boot();
  // A first start is repeated on the same snapshot, so a machine that goes down need not wait for its first block.
  return stop(targets, no_kill, true);
}

// Dependents first: a unit is asked to stop once nothing that requires it is left in the list.
void supervisor::advance_stops() {
  for (auto it = stops_.begin(); it != stops_.end();) {
    const auto r = find(it->first);
    const bool down = r && it->second.asked && r->at_rest() && r->memory().desired == model::desired::down;
    // What an adoption has just found, say, is on its way to it.
    const bool certain = !r || r->restart_seen();
    if (down && !certain) advance_stops_soon();
    if (!r || (down && certain))
      it = stops_.erase(it);
    else
      ++it;
  }
  std::set<std::string_view> blocked;  // by what is left and requires them
  for (const auto& [id, stop] : stops_) {
    const auto& needs = runners_.at(id)->spec().requires_units;
    for (const auto& need : needs)
      if (need.unit != id.unit) blocked.insert(need.unit);
  }
  for (auto& [id, stop] : stops_) {
    if (stop.asked || blocked.contains(id.unit)) continue;
    stop.asked = true;
    find(id)->dispatch(hasup::unit::stop_wanted{stop.no_kill, stop.why, stop.force, stop.hurry});
    // What is at rest already changes nothing when it is asked, and must not keep back what it requires.
    advance_stops_soon();
  }
}

// What still has to be down before it.
void supervisor::note_pending_stop(control::instance_status& s) const {
  const auto it = stops_.find({s.unit, s.instance});
  if (it == stops_.end() || it->second.asked) return;
  s.desired = model::desired::down;
  for (const auto& [id, stop] : stops_) {
    const auto r = find(id);
    if (!r || id.unit == s.unit) continue;
    const auto& needs = r->spec().requires_units;
    if (std::none_of(needs.begin(), needs.end(), [&](const auto& need) { return need.unit == s.unit; })) continue;
    s.waiting_for.push_back(shown_name(r->spec()) + " (stopped)");
  }
  std::string names;
  for (const auto& one : s.waiting_for) names += (names.empty() ? "" : ", ") + one.substr(0, one.rfind(' '));
  s.reason = it->second.why + "; waits until " + names + (s.waiting_for.size() == 1 ? " has" : " have") + " stopped";
}

// Once for all that changes in this turn of the loop.
void supervisor::advance_stops_soon() {
  if (std::exchange(stops_posted_, true)) return;
  boost::asio::post(services_.loop, [this] {
    stops_posted_ = false;
    advance_stops();
  });
}

control::command_reply supervisor::reset(const runners& targets) {
  control::command_reply reply;
  for (const auto& r : targets) {
    r->reset();
    reply.affected.push_back(to_text(r->spec().id));
  }
  return reply;
}

control::command_reply supervisor::recover(const runners& targets, const control::command& c) {
  control::command_reply reply;
  for (const auto& r : targets) {
    const auto name = shown_name(r->spec());
    if (!r->recovery_recipe()) {
      return {exit_code::failed,
              name + " has no [recovery] with a recipe, so there is nothing to restore it from",
              {},
              {}};
    }
    if (option(c, "history")) {
      for (const auto& e : events_.of(r->spec().id.unit, r->spec().id.index, 2000)) {
        if (e.state != "recovering" && e.kind != "recovering" && e.kind != "recovered") continue;
        reply.message += fmt::format("{}  {:<16} {}\n", base::format_time(e.at), e.kind, e.reason);
      }
      if (reply.message.empty()) reply.message = name + " has not been recovered since the events begin\n";
      continue;
    }
    if (option(c, "cancel")) {
      if (const auto why = r->too_late_to_cancel(); !why.empty()) return {exit_code::failed, why, {}, {}};
      if (!r->recovery_active()) return {exit_code::failed, name + " is not being recovered", {}, {}};
      r->cancel_recovery();
      reply.message +=
          fmt::format("the recovery of {} ends before anything is touched (`hasup status {}`)\n", name, name);
    } else if (option(c, "rollback")) {
      if (r->journal_is_damaged())
        return {exit_code::failed,
                fmt::format("the journal of {}'s last recovery cannot be understood (`hasup why {}`); `hasup recover "
                            "{}` begins anew, and first puts back the old state, if that is still there",
                            name, name, name),
                {},
                {}};
      if (r->wiped())
        return {exit_code::failed,
                fmt::format("there is no way back for {}: its old state was deleted to make room for the new one "
                            "(recovery.space; `hasup why {}`)",
                            name, name),
                {},
                {}};
      if (const auto why = r->why_no_roll_back(); !why.empty())
        return {exit_code::failed, name + " cannot be rolled back now: " + why, {}, {}};
      if (!r->roll_back())
        return {exit_code::failed,
                name +
                    " has no old state put aside: a recovery keeps it from the moment it is replaced until the new "
                    "one is confirmed (`hasup why " +
                    name + "`)",
                {},
                {}};
    } else if (r->recovery_active()) {
      if (!r->asks())
        return {exit_code::failed,
                name + " is being recovered already; `hasup status --watch` shows how far it is",
                {},
                {}};
      if (!option(c, "yes")) return {exit_code::failed, r->how_to_answer(), {}, {}};
      r->approve_recovery();
    } else if (const auto why = parked_instead(*r, c); !why.empty()) {
      return {exit_code::failed, why, {}, {}};
    } else if (r->state() == model::unit_state::waiting) {
      const auto reason = r->memory().reason;
      return {exit_code::failed,
              fmt::format("{} waits and cannot be recovered now: {}; it goes on waiting; once that is there, `hasup "
                          "recover {}`",
                          name, reason, name),
              {},
              {}};
    } else {
      auto options = options_of(c);
      stops_.erase(r->spec().id);
      r->taken_down_by.clear();
      r->recover("recovery asked for by hand", std::move(options));
    }
    reply.affected.push_back(to_text(r->spec().id));
  }
  return reply;
}

// Asks the backup hosts what they have, so it answers later.
void supervisor::dry_run(const control::command& c, std::function<void(control::command_reply)> done) {
  control::command_reply error;
  const auto targets = resolve(c, error);
  if (!targets) return done(error);
  if (targets->size() != 1) return done({exit_code::usage, "--dry-run takes one unit", {}, {}});
  const auto& r = targets->front();
  const auto id = to_text(r->spec().id);
  const auto name = shown_name(r->spec());
  if (!r->recovery_recipe()) return done({exit_code::failed, name + " has no [recovery] with a recipe", {}, {}});
  if (const auto why = parked_instead(*r, c); !why.empty()) return done({exit_code::failed, why, {}, {}});
  const bool asked = r->dry_run(options_of(c), [done, id](const base::result<recovery::plan_description>& plan) {
    if (plan)
      done({exit_code::done, plan->text, {id}, plan->json});
    else
      done({exit_code::failed, plan.error().message, {}, {}});
  });
  if (!asked && r->asks())
    done({exit_code::failed, r->how_to_answer(), {}, {}});
  else if (!asked)
    done({exit_code::failed, name + " is being recovered or checked right now; `hasup status --watch`", {}, {}});
}

// A node that runs is not stopped for a recovery that has nothing to restore. False: there is nothing to ask first.
bool supervisor::preflight(const control::command& c, const control::peer& who,
                           std::function<void(control::command_reply)> done) {
  if (option(c, "cancel") || option(c, "history")) return false;
  control::command_reply error;
  const auto targets = resolve(c, error);
  if (!targets || targets->size() != 1) return false;
  const auto& r = targets->front();
  if (!r->recovery_recipe() || r->state() != model::unit_state::running) return false;
  const auto name = shown_name(r->spec());
  return r->dry_run(options_of(c), [this, c, who, done, name](const base::result<recovery::plan_description>& plan) {
    if (plan) return carry_out(c, who, done);
    done({exit_code::failed, plan.error().message + "\n" + name + " was not touched and runs on", {}, {}});
  });
}

control::command_reply supervisor::why(const runners& targets) {
  control::why_report report;
  for (const auto& r : targets) {
    report.instances.push_back(r->story(events_.story_of(r->spec().id.unit, r->spec().id.index, 20)));
    note_settings(report.instances.back().status);
  }
  control::command_reply reply;
  reply.body = control::encode(report);
  return reply;
}

}  // namespace hasup::daemon
