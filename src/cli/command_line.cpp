// The command line, parsed by the table of verbs; help and completion from the same table.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <limits>

#include "base/suggestion.hpp"
#include "cli/help_topic.hpp"
#include "cli/invocation.hpp"
#include "cli/snapshot_options.hpp"
#include "cli/verb_table.hpp"
#include "hasup/version.hpp"

namespace hasup::cli {
namespace {

// Verbs of other tools that people type first.
constexpr std::pair<std::string_view, std::string_view> habits[]{
    {"up", "start"},          {"down", "stop"},  {"kill", "stop"},          {"log", "logs"},
    {"tail", "logs"},         {"show", "why"},   {"explain", "why"},        {"info", "why"},
    {"validate", "check"},    {"lint", "check"}, {"restore", "recover"},    {"history", "events"},
    {"monit", "status"},      {"top", "status"}, {"delete", "stop"},        {"daemon-reload", "apply"},
    {"upgrade", "daemon"},    {"shell", "exec"}, {"snapshots", "snapshot"}, {"fetch", "snapshot"},
    {"download", "snapshot"}, {"new", "init"},   {"templates", "init"}};

bool answers_to(const verb& v, const std::string& word) {
  return v.name == word || std::find(v.aliases.begin(), v.aliases.end(), word) != v.aliases.end();
}

struct parser {
  CLI::App app{"hasup keeps blockchain nodes running and brings them back when their database breaks.", "hasup"};
  invocation into;
  std::string lines;
  std::string timeout;
  std::string ran_for;
  bool version = false;

  // With `only` no other verb is set up: that is a good part of the time that `hasup status` takes.
  explicit parser(const std::string& only = {}) {
    app.require_subcommand(0, 1);
    const auto words = std::make_shared<CLI::Formatter>();
    words->label("SUBCOMMAND", "VERB");
    words->label("OPTIONS", "options");
    words->label("TEXT", "");
    words->label("REQUIRED", "");
    app.formatter(words);
    app.set_help_flag("-h,--help", "Print help; `hasup help VERB` for a verb");
    app.add_flag("--version", version, "Print the version");
    app.footer(
        "\nFirst steps:\n  hasup demo                    see what it does\n  hasup check                   are the "
        "unit files right?\n"
        "  hasup status                  what runs, and is it healthy?\n  hasup why leap                what "
        "happened to leap, and what comes next\n"
        "\nUNIT is a unit (all its instances), UNIT@N one instance, @GROUP a group.\n"
        "Exit codes: 0 done, 1 failed, 2 usage, 3 not healthy, 4 no such unit, 5 hasupd not reachable,\n"
        "6 invalid configuration, 7 permission denied.\n"
        "\nKeys of the files: `hasup help unit`, `upstreams`, `recipe`, `preset`, `hasup.toml`; of one\ntable: "
        "`hasup help schedule`.\n");
    for (const auto& v : verbs())
      if (only.empty() || answers_to(v, only)) add(v);
  }

  void add(const verb& v) {
    auto* sub = app.add_subcommand(v.name, v.summary)->group("Verbs");
    for (const auto* alias : v.aliases) sub->alias(alias);
    if (*v.details) sub->footer(v.details);
    switch (v.takes) {
      case targets::none:
        break;
      case targets::units_optional:
        sub->add_option("UNIT", into.targets, "Units, UNIT@N for one instance, @GROUP for a group");
        break;
      case targets::units:
        sub->add_option("UNIT", into.targets, "Units, UNIT@N for one instance, @GROUP for a group");
        break;
      case targets::units_and_word:
        if (v.name == std::string_view("maintenance"))
          sub->add_option("STATE", into.word, "on or off")->required()->check(CLI::IsMember({"on", "off"}));
        sub->add_option("UNIT", into.targets,
                        v.name == std::string_view("scale")    ? "The unit, then the number of instances"
                        : v.name == std::string_view("signal") ? "Units, then the signal: HUP, USR1, 12"
                                                               : "Units, @GROUP for a group")
            ->required();
        break;
      case targets::one_unit:
        sub->add_option("UNIT", into.targets, "The unit, or UNIT@N")->required()->expected(1);
        break;
      case targets::paths:
        sub->add_option("PATH", into.targets, "Unit files or directories");
        break;
      case targets::unit_or_preset:
        sub->add_option("UNIT", into.targets, "A unit, or a preset followed by the node's URL and other key=value…")
            ->required();
        break;
      case targets::word:
        break;
    }
    const std::string name = v.name;
    const auto is = [&](std::initializer_list<std::string_view> names) {
      return std::find(names.begin(), names.end(), name) != names.end();
    };
    if (is({"status", "logs", "why", "events", "check", "graph", "cat", "probe", "version", "demo", "recover",
            "classify", "daemon", "snapshot", "upstream", "init"}))
      sub->add_flag("--json", into.json, "Print JSON");
    if (is({"start", "stop", "restart"})) sub->add_flag("--all", into.all, "All units");
    if (is({"start", "stop", "restart", "reload", "scale", "recover"}))
      sub->add_flag("--no-wait", into.no_wait, "Do not wait until it is done");
    if (name == "probe")
      sub->add_option("--timeout", timeout, "Ask at most this long for a head that must advance; 15s without it")
          ->type_name("TIME");
    if (is({"start", "stop", "restart", "reload", "scale", "recover", "wait"}))
      sub->add_option("--timeout", timeout, "Wait at most this long, such as 90s or 10m")->type_name("TIME");
    if (is({"logs", "events"})) {
      sub->add_flag("-f,--follow", into.follow, "Go on with what comes");
      sub->add_option("-n,--lines", lines, "The last N, or all")->type_name("N");
    }
    add_own(*sub, name);
  }

  void add_own(CLI::App& sub, const std::string& name) {
    if (name == "status") sub.add_flag("-w,--watch", into.watch, "Go on showing it, with the progress of recoveries");
    if (name == "start") {
      sub.add_flag("--adopt", into.adopt, "Take over the process that somebody else has started on the unit's data");
      sub.add_flag("--from-nothing", into.from_nothing, "The state may be missing, this once");
      sub.add_flag("--once", into.once, "What stands behind -- is added to the command, for this one run");
    }
    if (name == "stop") {
      sub.add_flag("--no-kill", into.no_kill, "Never send SIGKILL, however long it takes");
      sub.add_flag("--force", into.force, "Also in the first start after a restore");
      sub.add_flag("--for-shutdown", into.for_shutdown,
                   "The machine goes down: after the reboot they are wanted as before, see [boot] start");
    }
    if (name == "scale" || name == "enable" || name == "disable")
      sub.add_flag("--reset", into.to_file, "Back to what the unit file says");
    if (name == "apply" || name == "recover") sub.add_flag("--dry-run", into.dry_run, "Only say what would be done");
    if (name == "logs") {
      sub.add_option("--since", into.since, "Not older than this: 10m, today, 01:02 or 2026-11-21T01:02:03Z (UTC)")
          ->type_name("TIME");
      sub.add_option("--grep", into.grep, "Only lines that match (RE2 regular expression)")->type_name("RE");
      sub.add_flag("-t,--timestamps", into.timestamps, "Print the time before each line");
      sub.add_flag("-p,--previous", into.previous, "The run before the current one");
    }
    if (name == "events") sub.add_option("--unit", into.unit, "Only of this unit, or of hasupd")->type_name("UNIT");
    if (name == "graph") sub.add_flag("--dot", into.dot, "For Graphviz");
    if (name == "cat") sub.add_flag("--effective", into.effective, "As it is understood");
    if (name == "wait")
      sub.add_option("--for", into.wanted, "healthy (default), running, stopped or completed")
          ->check(CLI::IsMember({"healthy", "running", "stopped", "completed"}))
          ->type_name("STATE");
    if (name == "recover") {
      sub.add_option("--snapshot", into.snapshot, "Use this one, not the newest")->type_name("NAME");
      sub.add_option("--from", into.from, "Use this archive on this machine")->type_name("FILE");
      sub.add_option("--plan", into.plan, "Use this plan of the recipe")->type_name("NAME");
      sub.add_flag("-y,--yes", into.yes, "Do not ask; also approves a recovery that is `asking`");
      sub.add_flag("--cancel", into.cancel, "Cancel the running recovery, as long as nothing was swapped");
      sub.add_flag("--rollback", into.roll_back,
                   "Put the old state back, while it is there: until the new one is confirmed");
      sub.add_flag("--history", into.history, "Show earlier recoveries");
    }
    if (name == "import") {
      sub.add_option("TOOL", into.tool, "pm2")->required()->check(CLI::IsMember({"pm2"}));
      sub.add_option("FILE", into.list, "dump.pm2, or the output of `pm2 jlist`");
      sub.add_flag("--running", into.running, "Ask the running pm2");
      sub.add_option("--output", into.output, "Write here; default: the units directory")->type_name("DIR");
      sub.add_flag("--force", into.force, "Overwrite files that exist");
      sub.add_flag("--dry-run", into.dry_run, "Print the files, without their secrets, and write nothing");
    }
    if (name == "init") {
      sub.add_option("TEMPLATE", into.targets, "Such as eos-evm/leap, or leap");
      sub.add_flag("-l,--list", into.list_all, "Show all templates, or the variables of these");
      sub.add_option("--set", into.sets,
                     "The value of a variable, or of UNIT.NAME for one of several; may be repeated")
          ->type_name("NAME=VALUE")
          ->allow_extra_args(false);
      sub.add_option("--name", into.name, "Of the unit; default: that of the template")->type_name("UNIT");
      sub.add_option("--output", into.output, "Write here; default: the units directory")->type_name("DIR");
      sub.add_flag("-y,--yes", into.yes, "Do not ask: what --set does not say stays as in the template");
      sub.add_flag("--force", into.force, "Overwrite files that exist");
      sub.add_flag("--dry-run", into.dry_run, "Print the files, and write nothing");
    }
    if (name == "daemon") {
      sub.add_option("ACTION", into.word, "upgrade")->required()->check(CLI::IsMember({"upgrade"}));
      sub.add_option("--binary", into.binary, "This hasupd")->type_name("FILE");
    }
    if (name == "upstream") {
      sub.add_option("NAME", into.targets, "An upstream, or: avoid NAME ENDPOINT");
      sub.add_option("--for", timeout, "avoid: for so long, such as 2h")->type_name("TIME");
      sub.add_flag("--undo", into.undo, "avoid: no longer");
    }
    if (name == "snapshot") add_snapshot_options(sub, into);
    if (name == "demo") sub.add_flag("--keep", into.keep, "Leave it running and say how to talk to it");
    if (name == "completion")
      sub.add_option("SHELL", into.targets, "bash, zsh or fish")
          ->required()
          ->expected(1)
          ->check(CLI::IsMember({"bash", "zsh", "fish", "units"}));
    if (name == "classify") {
      sub.add_option("RECIPE", into.recipe, "A recipe")->required();
      sub.add_option("--exit", into.exit_status, "The exit code")->type_name("N");
      sub.add_option("--signal", into.signal, "Or the signal that ended it")->type_name("SIG");
      sub.add_option("--log", into.log_file, "What it wrote; - reads from standard input")->type_name("FILE");
      sub.add_flag("--before-startup", into.before_startup, "It ended before its startup probe passed");
      sub.add_option("--readiness", into.readiness, "What its readiness probe said last: passed or failed")
          ->type_name("VERDICT")
          ->check(CLI::IsMember({"passed", "failed"}));
      sub.add_option("--ran-for", ran_for, "It ended so long after its start")->type_name("DURATION");
    }
  }
};

std::string unknown_verb(const std::string& word) {
  std::string text = "hasup: there is no verb \"" + word + "\"";
  std::string_view better;
  for (const auto& [habit, verb] : habits)
    if (habit == word) better = verb;
  if (better.empty()) {
    std::vector<std::string_view> names;
    for (const auto& v : verbs()) {
      names.emplace_back(v.name);
      names.insert(names.end(), v.aliases.begin(), v.aliases.end());
    }
    better = base::nearest(word, names);
  }
  if (!better.empty()) text += "; did you mean `hasup " + std::string(better) + "`?";
  return text + "\n`hasup help` lists them all.\n";
}

bool is_verb(const std::string& word) {
  return std::any_of(verbs().begin(), verbs().end(), [&](const verb& v) { return answers_to(v, word); });
}

answer usage(const std::string& message) {
  return {exit_code::usage, "hasup: " + message + "\n"};
}

// What CLI11 cannot check by itself.
std::optional<answer> finish(parser& p) {
  auto& i = p.into;
  if (!p.timeout.empty()) {
    const auto d = base::parse_duration(p.timeout);
    if (!d) return usage((i.verb == "upstream" ? "--for: " : "--timeout: ") + d.error().message);
    i.timeout = *d;
  }
  if (!p.ran_for.empty()) {
    const auto d = base::parse_duration(p.ran_for);
    if (!d) return usage("--ran-for: " + d.error().message);
    i.ran_for = *d;
  }
  if (p.lines == "all") {
    i.lines = std::numeric_limits<std::size_t>::max();
  } else if (!p.lines.empty()) {
    if (p.lines.size() > 9 || p.lines.find_first_not_of("0123456789") != std::string::npos)
      return usage("-n takes a number or \"all\", not \"" + p.lines + "\"");
    i.lines = std::stoul(p.lines);
  }
  if (i.to_file && i.verb == "scale") {
    if (i.targets.size() != 1) return usage("--reset takes one unit and no number: hasup scale miner --reset");
  } else if (i.verb == "signal" || i.verb == "scale") {
    if (i.targets.size() < 2)
      return usage(i.verb == "signal" ? "signal takes units and a signal: hasup signal leap USR1"
                                      : "scale takes a unit and a number: hasup scale miner 4");
    i.word = i.targets.back();
    i.targets.pop_back();
  }
  const auto example = [&](const char* unit) { return i.targets.empty() ? unit : i.targets.front(); };
  if (i.adopt && (i.targets.size() != 1 || i.all || i.once))
    return usage("--adopt takes one unit: hasup start " + example("leap") + " --adopt");
  if (i.from_nothing && i.adopt) return usage("--from-nothing or --adopt, not both: what runs has its state");
  if (i.from_nothing && (i.targets.size() != 1 || i.all))
    return usage("--from-nothing takes one unit: hasup start " + example("etcd") + " --from-nothing");
  if (i.once && (i.targets.size() != 1 || i.all || i.arguments.empty()))
    return usage("--once takes one unit, and arguments behind --: hasup start " + example("leap") +
                 " --once -- --replay-blockchain");
  if (i.verb == "exec" && i.arguments.empty()) return usage("exec which command? hasup exec leap -- env");
  if (i.verb == "start" && !i.once && !i.arguments.empty()) return usage("arguments behind -- need --once");
  const bool needs_units = i.verb == "start" || i.verb == "stop" || i.verb == "restart";
  if (needs_units && i.targets.empty() && !i.all)
    return usage(i.verb + " which unit? Name units, @GROUP, or say --all");
  if (needs_units && !i.targets.empty() && i.all) return usage("name units or say --all, not both");
  const bool takes_units = i.verb == "reset" || i.verb == "wait" || i.verb == "reload" || i.verb == "enable" ||
                           i.verb == "disable" || i.verb == "maintenance";
  if (takes_units && i.targets.empty()) return usage(i.verb + " which unit?");
  if (i.verb == "upstream") {
    const bool avoids = !i.targets.empty() && i.targets.front() == "avoid";
    if (avoids ? i.targets.size() != 3 : i.targets.size() > 1)
      return usage("upstream takes a NAME, or: hasup upstream avoid NAME ENDPOINT");
    if ((i.undo || i.timeout) && !avoids)
      return usage("--for and --undo are for: hasup upstream avoid NAME ENDPOINT");
    if (i.undo && i.timeout) return usage("--for or --undo, not both");
  }
  if (i.verb == "init" && i.targets.empty() && !i.list_all)
    return usage("init which template? `hasup init --list` shows them: hasup init eos-evm/leap");
  if (i.verb == "init" && !i.name.empty() && i.targets.size() != 1) return usage("--name takes one template");
  if (i.verb == "wait" && i.wanted.empty()) i.wanted = "healthy";
  if (i.verb == "classify" && !i.exit_status && i.signal.empty())
    return usage("classify needs --exit N or --signal SIG");
  if (i.verb == "import" && i.running && !i.list.empty()) return usage("FILE or --running, not both");
  if (i.verb == "recover" && !i.from.empty() && !i.snapshot.empty()) return usage("--snapshot or --from, not both");
  if (i.verb == "recover" && (i.cancel || i.roll_back)) {
    const bool more = i.dry_run || !i.snapshot.empty() || !i.plan.empty() || !i.from.empty();
    if (more || (i.cancel && i.roll_back))
      return usage(std::string(i.cancel ? "--cancel" : "--rollback") + " stands alone");
  }
  if (i.verb == "snapshot")
    if (const auto wrong = snapshot_usage_problem(i); !wrong.empty()) return usage(wrong);
  return std::nullopt;
}

}  // namespace

std::variant<invocation, answer> parse_command_line(const std::vector<std::string>& arguments) {
  std::vector<std::string> words = arguments;
  if (words.empty()) words.push_back("--help");
  if (words[0] == "help") {
    words.erase(words.begin());
    if (!words.empty() && !is_verb(words[0]))
      if (auto text = help_topic(words[0], words.size() > 1 ? words[1] : "")) return answer{exit_code::done, *text};
    words.resize(std::min<std::size_t>(words.size(), 1));
    words.push_back("--help");
  }
  if (!words[0].starts_with("-") && !is_verb(words[0])) return answer{exit_code::usage, unknown_verb(words[0])};

  std::vector<std::string> behind;  // start --once -- WORDS, exec UNIT [--] WORDS
  auto dashes = words[0] == "start" || words[0] == "exec" ? std::find(words.begin(), words.end(), "--") : words.end();
  if (words[0] == "exec" && words.size() > 2 && !words[1].starts_with("-") && dashes != words.begin() + 2)
    dashes = words.begin() + 1;  // as with docker: behind the unit everything is the command's
  if (dashes != words.end()) {
    behind.assign(dashes + 1, words.end());
    words.erase(dashes + (words[0] == "exec" && dashes == words.begin() + 1 ? 1 : 0), words.end());
  }
  parser p(is_verb(words[0]) ? words[0] : "");
  p.into.arguments = std::move(behind);
  std::reverse(words.begin(), words.end());  // as CLI11 wants them
  try {
    p.app.parse(words);
  } catch (const CLI::CallForHelp&) {
    const auto chosen = p.app.get_subcommands();
    if (chosen.empty()) return answer{exit_code::done, p.app.help()};
    const auto name = chosen.front()->get_name();
    const auto also = is_unit_table(name) ? "[" + name + "] of unit files: `hasup help unit " + name + "`\n" : "";
    return answer{exit_code::done, chosen.front()->help("hasup") + also};
  } catch (const CLI::ParseError& e) {
    const auto chosen = p.app.get_subcommands();
    const std::string where = chosen.empty() ? "hasup help" : "hasup help " + chosen.front()->get_name();
    return answer{exit_code::usage, std::string("hasup: ") + e.what() + "\nSee `" + where + "`.\n"};
  }
  if (p.version) return answer{exit_code::done, std::string("hasup ") + version + "\n"};
  const auto chosen = p.app.get_subcommands();
  if (chosen.empty()) return answer{exit_code::usage, p.app.help()};
  p.into.verb = chosen.front()->get_name();
  if (auto wrong = finish(p)) return *wrong;
  return p.into;
}

std::vector<verb_shape> verb_shapes() {
  parser p;
  std::vector<verb_shape> all;
  for (const auto& v : verbs()) {
    verb_shape s{v.name, {v.aliases.begin(), v.aliases.end()}, v.summary, {}, false};
    s.takes_units = v.takes == targets::units || v.takes == targets::units_optional || v.takes == targets::one_unit ||
                    v.takes == targets::unit_or_preset || v.name == std::string_view("snapshot");
    for (const auto* o : p.app.get_subcommand(v.name)->get_options()) {
      for (const auto& name : o->get_snames()) s.options.push_back("-" + name);
      for (const auto& name : o->get_lnames()) s.options.push_back("--" + name);
    }
    all.push_back(std::move(s));
  }
  return all;
}

}  // namespace hasup::cli
