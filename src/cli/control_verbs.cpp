// The verbs that change something: start, stop, restart, recover, reset, apply; and wait, which only looks.
#include <fmt/format.h>
#include <unistd.h>

#include <filesystem>
#include <iostream>
#include <limits>
#include <optional>
#include <set>

#include "cli/apply_text.hpp"
#include "cli/consent.hpp"
#include "cli/machine_check.hpp"
#include "cli/recovery_history.hpp"
#include "cli/selection.hpp"
#include "cli/status_table.hpp"
#include "cli/stored_events.hpp"
#include "cli/verbs.hpp"
#include "cli/waiting.hpp"

namespace hasup::cli {
namespace {

control::command command_of(const invocation& call) {
  control::command c;
  c.verb = call.verb;
  c.targets = call.targets;
  c.all = call.all;
  const auto set = [&](const char* name, bool value) {
    if (value) c.options[name] = "true";
  };
  set("no_kill", call.no_kill);
  set("force", call.force);
  set("adopt", call.adopt);
  set("from_nothing", call.from_nothing);
  set("for_shutdown", call.for_shutdown);
  set("yes", call.yes);
  set("cancel", call.cancel);
  set("rollback", call.roll_back);
  set("dry_run", call.dry_run);
  set("history", call.history);
  if (call.verb == "signal") c.options["signal"] = call.word;
  set("reset", call.to_file);
  if (call.verb == "scale" && !call.to_file) c.options["instances"] = call.word;
  if (call.verb == "maintenance") c.options["state"] = call.word;
  if (call.once) c.arguments = call.arguments;
  if (!call.snapshot.empty()) c.options["snapshot"] = call.snapshot;
  if (!call.plan.empty()) c.options["plan"] = call.plan;
  if (!call.from.empty()) c.options["from"] = std::filesystem::absolute(call.from).lexically_normal().string();
  return c;
}

goal goal_of(const invocation& call) {
  const auto& verb = call.verb;
  if (verb == "stop") return goal::stopped;
  if (verb == "restart" || verb == "reload") return goal::restarted;
  if (verb == "scale") return goal::settled;
  if (verb == "recover") return call.roll_back ? goal::rolled_back : goal::recovered;
  return goal::started;
}

std::vector<model::instance_id> parse_affected(const std::vector<std::string>& names) {
  std::vector<model::instance_id> ids;
  for (const auto& n : names)
    if (const auto r = model::parse_unit_reference(n)) ids.push_back({r->unit, r->index.value_or(0)});
  return ids;
}

std::string affected_text(const std::vector<std::string>& names, const std::vector<control::instance_status>& all) {
  std::string text;
  const auto ids = parse_affected(names);
  std::set<std::string> several;  // some may be new, and before there was only one
  for (const auto& id : ids)
    if (id.index > 0) several.insert(id.unit);
  for (const auto& u : all)
    if (u.instances > 1) several.insert(u.unit);
  for (const auto& id : ids) text += (text.empty() ? "" : ", ") + (several.contains(id.unit) ? to_text(id) : id.unit);
  return text;
}

void print_message(const control::command_reply& reply) {
  if (reply.message.empty()) return;
  print(reply.message.back() == '\n' ? reply.message : reply.message + "\n");
}

exit_code show_reply(const context& c, const control::command_reply& reply) {
  if (reply.code != exit_code::done) {
    complain(c, reply.message.empty() ? "it was refused" : reply.message);
    return reply.code;
  }
  if (c.call.json)
    print((reply.body.empty() ? "null" : reply.body) + "\n");
  else
    print_message(reply);
  return exit_code::done;
}

// What the unit's file says of its recovery; a broken one says nothing.
const config::unit_entry* entry_of(const config::loaded& files, const std::string& unit) {
  const auto found = files.units.find(unit);
  const bool usable = found != files.units.end() && found->second.valid && !found->second.instances.empty();
  return usable ? &found->second : nullptr;
}

std::string what_is_done(bool rolls_back, bool deletes) {
  return deletes
             ? "delete its state, with no way back, once a snapshot is here and verified, and restore it from that"
         : rolls_back ? "put its old state back"
                      : "restore its state from a snapshot";
}

bool ask(const context& c, const std::string& question) {
  const auto text = question + "? [y/N] ";
  if (c.out.interactive)
    print(text);
  else
    write_all(STDERR_FILENO, text);
  std::string line;
  std::getline(std::cin, line);
  return line == "y" || line == "Y" || line == "yes";
}

// Nothing where it may go on; else how it ends. Who says yes to a deletion is not asked once more by hasupd.
std::optional<exit_code> refused(const context& c, const control::host_status& before, bool& yes) {
  const auto& call = c.call;
  if (call.verb != "recover" || call.cancel || call.dry_run) return std::nullopt;
  const auto files = config::load(c.dirs);
  std::vector<std::string> unknown;
  const auto chosen = select(before.units, call.targets, unknown, groups_for(call.targets, c.dirs));
  for (const auto& u : chosen) {
    const auto* entry = entry_of(files, u.unit);
    if (entry != nullptr && !entry->recipe) continue;  // hasupd says what it lacks
    const auto* recovery = entry == nullptr ? nullptr : &entry->instances.front().recovery;
    const bool restores = recovery != nullptr && !call.roll_back;
    replacement r;
    r.said_yes = call.yes;
    r.on_terminal = ::isatty(STDIN_FILENO) == 1;
    r.asks_later = restores && recovery->mode == model::recovery_mode::ask && !u.config_changed;
    r.is_fine = is_fine(u);
    r.deletes = restores && recovery->space == model::space_policy::in_place;
    const auto name = control::display_name(u);
    const auto what = what_is_done(call.roll_back, r.deletes);
    switch (consent_to(r)) {
      case consent::given:
        break;
      case consent::missing:
        complain(c, fmt::format("{}: nobody is there to be asked, on no terminal; say --yes to {}", name, what));
        return exit_code::usage;
      case consent::to_be_asked:
        if (!ask(c, r.is_fine ? fmt::format("{} is healthy. Stop it and {}", name, what) : name + ": " + what)) {
          complain(c, "nothing was done");
          return exit_code::failed;
        }
        yes = r.deletes && chosen.size() == 1;
    }
  }
  return std::nullopt;
}

// hasupd says whether it has such a unit with a recipe; its events say what happened.
exit_code show_history(const context& c) {
  const auto reply = c.daemon.execute(command_of(c.call));
  if (!reply) return fail(c, reply.error());
  if (reply->code != exit_code::done) return show_reply(c, *reply);
  const auto events = recent_events(c, std::numeric_limits<std::size_t>::max(), c.call.targets[0]);
  if (!events) return fail(c, events.error());
  bool several = false;
  if (const auto now = c.daemon.status())
    for (const auto& u : now->units) several = several || (means(c.call.targets[0], u) && u.instances > 1);
  const auto all = past_recoveries(*events, several);
  if (c.call.json)
    print(history_json(all) + "\n");
  else
    print(all.empty() ? c.call.targets[0] + " has not been recovered since the events begin\n"
                      : render_history(all, c.out));
  return exit_code::done;
}

}  // namespace

exit_code run_command(const context& c) {
  if (c.call.history) return show_history(c);
  // The stream is opened and the state noted first, so that nothing that follows from the command can be missed.
  auto stream = c.daemon.follow(std::nullopt, "");
  if (!stream) return fail(c, stream.error());
  const auto before = c.daemon.status();
  if (!before) return fail(c, before.error());
  bool yes = false;
  if (const auto how = refused(c, *before, yes)) return *how;
  // Before a node that runs is stopped, and in a dry run, the backup hosts are asked, which takes as long as they do.
  const bool asks_hosts = c.call.verb == "recover" && !c.call.roll_back;
  const control::client patient(c.dirs.run, base::duration{asks_hosts ? 600'000 : 60'000});
  auto command = command_of(c.call);
  if (yes) command.options["yes"] = "true";
  const auto reply = patient.execute(command);
  if (!reply) return fail(c, reply.error());
  const bool only_tells = c.call.dry_run || c.call.cancel;
  if (reply->code != exit_code::done || only_tells || (c.call.json && c.call.no_wait)) return show_reply(c, *reply);

  print_message(*reply);
  const auto ids = parse_affected(reply->affected);
  if (ids.empty()) {
    if (reply->message.empty()) print("nothing to do\n");
    return exit_code::done;
  }
  const bool obvious = ids.size() == 1 && c.call.targets.size() == 1;
  if (!obvious) print(fmt::format("{}: {}\n", c.call.verb, affected_text(reply->affected, before->units)));
  if (c.call.no_wait) return exit_code::done;
  return wait_until(c, std::move(*stream), {goal_of(c.call), ids, before->units, c.call.timeout});
}

exit_code run_apply(const context& c) {
  const control::client patient(c.dirs.run, base::duration{60'000});
  auto reply = patient.execute(command_of(c.call));
  if (!reply) return fail(c, reply.error());
  reply->message = in_tense_of_apply(std::move(reply->message), c.call.dry_run);
  if (reply->code == exit_code::invalid_configuration) {
    print_message(*reply);
    complain(c, "files with errors changed nothing; `hasup check` shows all errors");
    return reply->code;
  }
  const auto code = show_reply(c, *reply);
  if (code == exit_code::done && reply->message.empty() && reply->affected.empty()) print("nothing has changed\n");
  std::set<std::string> changed;
  for (const auto& id : parse_affected(reply->affected)) changed.insert(id.unit);
  if (code == exit_code::done && !changed.empty())
    for (const auto& d : machine_warnings(config::load(c.dirs), changed))
      write_all(STDERR_FILENO, base::render(d, c.err.colour));
  return code;
}

// What is done as soon as hasupd has heard it.
exit_code run_setting(const context& c) {
  const auto reply = c.daemon.execute(command_of(c.call));
  if (!reply) return fail(c, reply.error());
  const auto code = show_reply(c, *reply);
  if (code != exit_code::done || !reply->message.empty() || c.call.json) return code;
  const auto now = c.daemon.status();
  const auto names = affected_text(reply->affected, now ? now->units : std::vector<control::instance_status>{});
  if (c.call.verb == "signal")
    print(fmt::format("sent {} to {}\n", c.call.word, names));
  else if (c.call.verb == "maintenance")
    print(fmt::format("maintenance of {} is {}\n", names, c.call.word));
  else if (c.call.verb == "reset")
    print(names +
          " reset: failed starts, start limit, recovery budget, bad snapshots and left endpoints are forgotten\n");
  else
    print(fmt::format("{} {}d{}\n", names, c.call.verb,
                      c.call.verb == "enable" ? ": started when the daemon starts (`hasup start` starts it now)"
                                              : ": not started when the daemon starts (what runs goes on)"));
  return code;
}

exit_code run_wait(const context& c) {
  auto stream = c.daemon.follow(std::nullopt, "");
  if (!stream) return fail(c, stream.error());
  const auto now = c.daemon.status();
  if (!now) return fail(c, now.error());
  std::vector<std::string> unknown;
  const auto groups = groups_for(c.call.targets, c.dirs);
  const auto chosen = select(now->units, c.call.targets, unknown, groups);
  for (const auto& u : unknown) complain(c, unknown_unit(u, unit_names(now->units), groups));
  if (!unknown.empty()) return exit_code::no_such_unit;
  waiting_for w;
  w.want = c.call.wanted == "running"     ? goal::running
           : c.call.wanted == "stopped"   ? goal::at_rest
           : c.call.wanted == "completed" ? goal::completed
                                          : goal::healthy;
  for (const auto& u : chosen) w.instances.push_back({u.unit, u.instance});
  w.before = now->units;
  w.timeout = c.call.timeout;
  return wait_until(c, std::move(*stream), w);
}

}  // namespace hasup::cli
