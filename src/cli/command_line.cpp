// The verbs of the command line, their options, and help that teaches with examples.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <limits>

#include "base/suggestion.hpp"
#include "cli/invocation.hpp"
#include "hasup/version.hpp"

namespace hasup::cli {
namespace {

enum class targets { none, units_optional, units, one_unit, units_and_word, paths, unit_or_preset, word };

struct verb {
  const char* name;
  std::vector<const char*> aliases;
  const char* summary;
  targets takes;
  const char* details;  // after the options
};

const std::vector<verb>& verbs() {
  static const std::vector<verb> all{
      {"status",
       {"ls", "list", "ps"},
       "Show all units, or some in detail",
       targets::units_optional,
       "Exits with 3 when a named unit is not running or not healthy (completed is fine), 4 when "
       "there is no such "
       "unit.\n"
       "\nExamples:\n  hasup status\n  hasup status --watch\n  hasup status leap && echo fine\n"
       "  hasup status --json | jq '.units[] | select(.health != \"healthy\")'\n"},
      {"start",
       {},
       "Start units, with all that they require",
       targets::units,
       "Waits until they are healthy. A failed unit gets a new chance: its start limit is cleared.\n"
       "--all leaves completed one-shot units alone; named, they run again.\n"
       "--once -- WORDS adds arguments to one run of one unit that does not run.\n"
       "--adopt takes over the process that has the unit's data open although hasup did not start it (by hand, under "
       "pm2):\n"
       "it runs on, is probed and stopped as the unit's own, and its next start is hasup's. What started it must not "
       "start\n"
       "it again.\n"
       "\nExamples:\n  hasup start leap\n  hasup start leap --once -- --replay-blockchain\n  hasup start @realtime "
       "--timeout 5m\n  hasup start --all --no-wait\n"},
      {"stop",
       {},
       "Stop units, dependents first",
       targets::units,
       "Waits until they are stopped. A unit that does not end within its stop_timeout is killed: when that would be "
       "is shown\nwhile it stops, and that it was, in status. Ctrl-C ends the waiting, never a unit. "
       "--no-kill never kills. The units stay down until they are started again.\n"
       "\nExamples:\n  hasup stop eos-evm-node\n  hasup stop miner@2\n  hasup stop --all --no-kill\n"},
      {"restart",
       {},
       "Restart units; dependents only where on_loss says so",
       targets::units,
       "The instances of a unit one after the other, each healthy before the next.\n"
       "\nExamples:\n  hasup restart leap\n  hasup restart @realtime --no-wait\n"},
      {"reload",
       {},
       "Have units read their configuration again",
       targets::units,
       "Runs check_command and, when it succeeds, sends reload_signal. A unit without reload_signal is restarted, "
       "one\n"
       "instance after the other.\n"
       "\nExamples:\n  hasup reload nginx\n"},
      {"signal",
       {},
       "Send a signal to the main process of units",
       targets::units_and_word,
       "\nExamples:\n  hasup signal leap USR1\n"},
      {"scale",
       {},
       "Set how many instances of a unit run",
       targets::units_and_word,
       "Holds over run.instances of the unit file until it is set again.\n"
       "\nExamples:\n  hasup scale miner 4\n"},
      {"enable",
       {},
       "Start units when the daemon starts",
       targets::units,
       "Holds over `enabled` of the unit file. Starts nothing now.\n\nExamples:\n  hasup enable miner && hasup start "
       "miner\n"},
      {"disable",
       {},
       "Do not start units when the daemon starts",
       targets::units,
       "Holds over `enabled` of the unit file. Stops nothing now.\n\nExamples:\n  hasup disable miner && hasup stop "
       "miner\n"},
      {"maintenance",
       {},
       "Suspend what health does to units while a person works on them",
       targets::units_and_word,
       "While it is on, a failing liveness probe, memory_restart, the death of a shim and schedules restart\n"
       "nothing, and no recovery begins by itself: `hasup why` says what is held back, and `off` lets it begin.\n"
       "What ends for another reason is still started again; `hasup stop` stops it.\n"
       "\nExamples:\n  hasup maintenance on leap\n  hasup maintenance off leap\n"},
      {"apply",
       {},
       "Read the unit files again and apply the difference",
       targets::none,
       "\nExamples:\n  hasup check && hasup apply --dry-run\n  hasup apply\n"},
      {"logs",
       {},
       "Show what units wrote",
       targets::units_optional,
       "Reads the log files, rotated and compressed ones too, also without the daemon. Several units are put "
       "together\n"
       "by time, and with them the files of [log] follow. Shows the last 100 lines; all lines with --since, --grep "
       "or\n"
       "--previous. -f goes on over rotations. --json prints one object a line.\n"
       "\nExamples:\n  hasup logs leap -f\n  hasup logs leap --previous\n  hasup logs @evm --since 10m --grep "
       "'warn|error'\n"
       "  hasup logs --since 2026-11-21 --json | jq -r 'select(.stream == \"stderr\").message'\n"
       "  hasup logs leap -n all | less\n"},
      {"why",
       {"describe"},
       "Tell the story of a unit: what happened, what was tried, what comes next",
       targets::one_unit,
       "\nExamples:\n  hasup why leap\n  hasup why miner@1 --json\n"},
      {"events",
       {},
       "Show what happened",
       targets::none,
       "\nExamples:\n  hasup events\n  hasup events -f --unit leap\n  hasup events --json -n all\n"},
      {"check",
       {},
       "Check unit files, all errors at once",
       targets::paths,
       "Without PATH: the whole configuration. Exits with 6 when there is an error. Changes nothing.\n"
       "\nExamples:\n  hasup check\n  hasup check units/leap.toml\n"},
      {"graph",
       {},
       "Draw which unit requires which",
       targets::none,
       "\nExamples:\n  hasup graph\n  hasup graph --dot | dot -Tsvg > units.svg\n"},
      {"recover",
       {},
       "Restore a unit's state from a snapshot",
       targets::one_unit,
       "Looks for a snapshot first: a unit that runs is stopped only once one was found. Then fetches, verifies and\n"
       "unpacks; the old state is kept until the node runs from the new one, and comes back when nothing fits.\n"
       "On a terminal it asks before a healthy unit is stopped; a script is taken at its word, and so is --yes, "
       "which\n"
       "also approves a recovery that waits for a person (state `asking`). --history shows one line for each "
       "earlier\n"
       "recovery.\n"
       "\nExamples:\n  hasup recover leap --dry-run\n  hasup recover leap --snapshot snapshot-2026-11-21.bin.zst\n"
       "  hasup recover leap --cancel\n"},
      {"reset",
       {},
       "Clear start limit, failed starts and recovery budget of a unit",
       targets::units,
       "Clears all three, and starts the unit again when it is wanted up; one that was stopped by hand stays down.\n"
       "\nExamples:\n  hasup reset leap\n"},
      {"wait",
       {},
       "Wait until units are healthy, running, stopped or completed",
       targets::units,
       "Exits with 1 on a timeout, or at once when a unit has failed for good or waits for one that has. A failure\n"
       "that is tried again by itself is waited for.\n"
       "\nExamples:\n  hasup wait leap --for healthy --timeout 10m\n"},
      {"probe",
       {},
       "Ask a unit's probes, or a preset, and explain the answer",
       targets::unit_or_preset,
       "Each is asked once; one with advances_within again and again, until the number has grown or has stood still "
       "for\n"
       "that long, or --timeout is over. Exits with 1 when one fails or cannot be judged.\n"
       "\nExamples:\n  hasup probe leap\n  hasup probe antelope url=http://127.0.0.1:8888\n"},
      {"classify",
       {},
       "Tell how a recipe understands an exit",
       targets::word,
       "\nExamples:\n  hasup classify nodeos --exit 2 --log /var/log/hasup/leap.log\n"},
      {"cat",
       {},
       "Print a unit file",
       targets::one_unit,
       "--effective: with what it extends merged and variables filled in; secrets stay placeholders.\n"
       "\nExamples:\n  hasup cat leap --effective\n"},
      {"exec",
       {},
       "Run a command as a unit's node would be run",
       targets::one_unit,
       "With the unit's user and groups, environment (env_file and secrets too), directory, umask and limits, as its "
       "file\n"
       "says now. Standard input and output, the terminal and the exit code are the command's own. It runs beside "
       "the "
       "unit:\n"
       "the unit need not run, stop does not wait for it, and its output is in no log. Needs the rights to do so: "
       "root, "
       "or\n"
       "the unit's user where he may read its env_files. 126 and 127 as in a shell: it cannot be run, is not there.\n"
       "\nExamples:\n  hasup exec leap -- cleos get info\n  hasup exec miner@1 -- env\n  hasup exec geth -- geth "
       "attach\n"},
      {"import",
       {},
       "Write unit files for the processes of pm2",
       targets::none,
       "Reads FILE (pm2's dump.pm2, or the output of `pm2 jlist`; - is standard input), else dump.pm2 in PM2_HOME or "
       "~/.pm2,\n"
       "else the running pm2. Writes one unit a group of processes of one name; secrets go to NAME.env with mode "
       "0600.\n"
       "Starts and stops nothing: it prints the steps that go over without two copies of a program at any moment.\n"
       "\nExamples:\n  hasup import pm2 --dry-run\n  pm2 jlist > list.json && hasup import pm2 list.json --output "
       "/tmp/units\n"
       "  hasup import pm2 --running\n"},
      {"daemon",
       {},
       "Put a new hasupd in the place of the running one; no unit notices",
       targets::none,
       "upgrade: has the new program check itself (configuration, state, what runs) and, only when it is content, "
       "puts "
       "it\n"
       "in the place of the old one: same process, same lock, same socket, every unit runs on. Otherwise the old one "
       "goes\n"
       "on and says why. The new program is the file that hasupd was started from, as it is now on the disk. "
       "--binary "
       "is\n"
       "for root and the user of hasupd.\n"
       "\nExamples:\n  apt install ./hasup.deb && hasup daemon upgrade\n  hasup daemon upgrade --binary "
       "/opt/hasup-next/bin/hasupd\n"},
      {"demo",
       {},
       "Watch a disaster and its end: offline, in a temporary directory, under 30 seconds",
       targets::none,
       "With --keep --json the member `home` is its HASUP_HOME, and how to talk to it stands on standard error.\n"
       "\nExamples:\n  hasup demo\n  hasup demo --keep\n"},
      {"completion",
       {},
       "Print a completion script for bash, zsh or fish",
       targets::word,
       "`hasup completion units` prints the names that the scripts complete.\n"
       "\nExamples:\n  hasup completion bash > /etc/bash_completion.d/hasup\n"
       "  hasup completion zsh > \"${fpath[1]}/_hasup\"\n  hasup completion fish > "
       "~/.config/fish/completions/hasup.fish\n"},
      {"version", {}, "Print the version", targets::none, ""},
  };
  return all;
}

// Verbs of other tools that people type first.
constexpr std::pair<std::string_view, std::string_view> habits[]{
    {"up", "start"},       {"down", "stop"},  {"kill", "stop"},       {"log", "logs"},
    {"tail", "logs"},      {"show", "why"},   {"explain", "why"},     {"info", "why"},
    {"validate", "check"}, {"lint", "check"}, {"restore", "recover"}, {"history", "events"},
    {"monit", "status"},   {"top", "status"}, {"delete", "stop"},     {"daemon-reload", "apply"},
    {"upgrade", "daemon"}, {"shell", "exec"}};

bool answers_to(const verb& v, const std::string& word) {
  return v.name == word || std::find(v.aliases.begin(), v.aliases.end(), word) != v.aliases.end();
}

struct parser {
  CLI::App app{"hasup keeps blockchain nodes running and brings them back when their database breaks.", "hasup"};
  invocation into;
  std::string lines;
  std::string timeout;
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
        "6 invalid configuration, 7 permission denied.\n");
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
        sub->add_option("UNIT", into.targets, "A unit, or a preset followed by key=value…")->required();
        break;
      case targets::word:
        break;
    }
    const std::string name = v.name;
    const auto is = [&](std::initializer_list<std::string_view> names) {
      return std::find(names.begin(), names.end(), name) != names.end();
    };
    if (is({"status", "logs", "why", "events", "check", "graph", "cat", "probe", "version", "demo", "recover",
            "classify", "daemon"}))
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
      sub.add_flag("--once", into.once, "What stands behind -- is added to the command, for this one run");
    }
    if (name == "stop") {
      sub.add_flag("--no-kill", into.no_kill, "Never send SIGKILL, however long it takes");
      sub.add_flag("--force", into.force, "Also in the first start after a restore");
      sub.add_flag("--for-shutdown", into.for_shutdown,
                   "The machine goes down: after the reboot they are wanted as before, see [boot] start");
    }
    if (name == "apply" || name == "recover") sub.add_flag("--dry-run", into.dry_run, "Only say what would be done");
    if (name == "logs") {
      sub.add_option("--since", into.since, "Not older than this: 10m, today, 01:02 or 2026-11-21T01:02:03Z (UTC)")
          ->type_name("TIME");
      sub.add_option("--grep", into.grep, "Only lines that match (RE2 regular expression)")->type_name("RE");
      sub.add_flag("-t,--timestamps", into.timestamps, "Print the time before each line");
      sub.add_flag("-p,--previous", into.previous, "The run before the current one");
    }
    if (name == "events") sub.add_option("--unit", into.unit, "Only of this unit")->type_name("UNIT");
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
    if (name == "daemon") {
      sub.add_option("ACTION", into.word, "upgrade")->required()->check(CLI::IsMember({"upgrade"}));
      sub.add_option("--binary", into.binary, "This hasupd")->type_name("FILE");
    }
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
    if (!d) return usage("--timeout: " + d.error().message);
    i.timeout = *d;
  }
  if (p.lines == "all") {
    i.lines = std::numeric_limits<std::size_t>::max();
  } else if (!p.lines.empty()) {
    if (p.lines.size() > 9 || p.lines.find_first_not_of("0123456789") != std::string::npos)
      return usage("-n takes a number or \"all\", not \"" + p.lines + "\"");
    i.lines = std::stoul(p.lines);
  }
  if (i.verb == "signal" || i.verb == "scale") {
    if (i.targets.size() < 2)
      return usage(i.verb == "signal" ? "signal takes units and a signal: hasup signal leap USR1"
                                      : "scale takes a unit and a number: hasup scale miner 4");
    i.word = i.targets.back();
    i.targets.pop_back();
  }
  if (i.adopt && (i.targets.size() != 1 || i.all || i.once))
    return usage("--adopt takes one unit: hasup start leap --adopt");
  if (i.once && (i.targets.size() != 1 || i.all || i.arguments.empty()))
    return usage("--once takes one unit, and arguments behind --: hasup start leap --once -- --replay-blockchain");
  if (i.verb == "exec" && i.arguments.empty()) return usage("exec which command? hasup exec leap -- env");
  if (i.verb == "start" && !i.once && !i.arguments.empty()) return usage("arguments behind -- need --once");
  const bool needs_units = i.verb == "start" || i.verb == "stop" || i.verb == "restart";
  if (needs_units && i.targets.empty() && !i.all)
    return usage(i.verb + " which unit? Name units, @GROUP, or say --all");
  if (needs_units && !i.targets.empty() && i.all) return usage("name units or say --all, not both");
  const bool takes_units = i.verb == "reset" || i.verb == "wait" || i.verb == "reload" || i.verb == "enable" ||
                           i.verb == "disable" || i.verb == "maintenance";
  if (takes_units && i.targets.empty()) return usage(i.verb + " which unit?");
  if (i.verb == "wait" && i.wanted.empty()) i.wanted = "healthy";
  if (i.verb == "classify" && !i.exit_status && i.signal.empty())
    return usage("classify needs --exit N or --signal SIG");
  if (i.verb == "import" && i.running && !i.list.empty()) return usage("FILE or --running, not both");
  if (i.verb == "recover" && !i.from.empty() && !i.snapshot.empty()) return usage("--snapshot or --from, not both");
  if (i.verb == "recover" && i.cancel && (i.dry_run || !i.snapshot.empty() || !i.plan.empty() || !i.from.empty()))
    return usage("--cancel stands alone");
  return std::nullopt;
}

}  // namespace

std::variant<invocation, answer> parse_command_line(const std::vector<std::string>& arguments) {
  std::vector<std::string> words = arguments;
  if (words.empty()) words.push_back("--help");
  if (words[0] == "help") {
    words.erase(words.begin());
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
    return answer{exit_code::done, (chosen.empty() ? &p.app : chosen.front())->help(chosen.empty() ? "" : "hasup")};
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
                    v.takes == targets::unit_or_preset;
    for (const auto* o : p.app.get_subcommand(v.name)->get_options()) {
      for (const auto& name : o->get_snames()) s.options.push_back("-" + name);
      for (const auto& name : o->get_lnames()) s.options.push_back("--" + name);
    }
    all.push_back(std::move(s));
  }
  return all;
}

}  // namespace hasup::cli
