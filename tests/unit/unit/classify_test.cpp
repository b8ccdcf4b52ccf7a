// What the ends of runs mean, on output as real programs write it.
#include "unit/classify.hpp"

#include <cerrno>
#include <csignal>

#include <catch2/catch.hpp>

using namespace hasup;
using unit::classification;
using unit::exit_action;

namespace {

model::exit_status by_signal(int s) {
  model::exit_status out;
  out.signal = s;
  return out;
}

model::exit_status code(int c) {
  model::exit_status s;
  s.code = c;
  return s;
}

model::exit_status killed(int signal) {
  model::exit_status s;
  s.signal = signal;
  return s;
}

model::exit_class one_class(std::string name, std::vector<int> codes, std::string log, model::class_action action,
                            model::match_mode match = model::match_mode::all) {
  model::exit_class c;
  c.name = std::move(name);
  c.exit_codes = std::move(codes);
  c.log = std::move(log);
  c.action = action;
  c.match = match;
  return c;
}

model::recipe nodeos_like() {
  model::recipe r;
  r.name = "nodeos";
  r.classes = {one_class("dirty database", {2, 255}, "database dirty flag set", model::class_action::recover),
               one_class("address in use", {}, "bind: Address already in use", model::class_action::restart),
               one_class("damaged log", {}, "^error .* fork database", model::class_action::recover)};
  return r;
}

unit::run_facts started() {
  unit::run_facts f;
  f.startup_passed = true;
  return f;
}

const std::string dirty =
    "info  nodeos using configuration\n"
    "error 2026-11-21T01:02:03 database dirty flag set (likely due to unclean shutdown): replay required\n";

}  // namespace

TEST_CASE("words of a damaged database are named with their line, and recover nothing by themselves") {
  for (const std::string line :
       {"Fatal: Corruption: block checksum mismatch: expected 1, got 2 in /d/000123.sst",
        "checksum mismatch at page 7", "sqlite3.OperationalError: database disk image is malformed",
        "MDBX_CORRUPTED: Database is corrupted", "MDB_PAGE_NOTFOUND: Requested page not found",
        "error database dirty flag set (likely due to unclean shutdown)", "Corrupted block database detected.",
        "database file is corrupt", "Error: file is not a database"}) {
    CAPTURE(line);
    for (const auto& end : {code(1), by_signal(SIGABRT), code(0)}) {
      const auto c = unit::classify(nullptr, end, "begins\n" + line + "\nends\n", {});
      CHECK(c.name == "corrupted state");
      CHECK(c.action == exit_action::unexplained);
      CHECK(c.evidence == line);
      CHECK_FALSE(c.advice.empty());
    }
  }
  const std::string dirty_line = "error database dirty flag set";
  CHECK(unit::exit_text(code(2), unit::classify(nullptr, code(2), dirty_line, {})) ==
        "exited with code 2: corrupted state");
  SECTION("a class of the recipe says more") {
    const auto r = nodeos_like();
    CHECK(unit::classify(&r, code(2), dirty_line, {}).name == "dirty database");
    CHECK(unit::classify(&r, code(1), dirty_line, {}).name == "corrupted state");
  }
  SECTION("what explains the end explains these words, too") {
    CHECK(unit::classify(nullptr, killed(SIGKILL), dirty_line, {}).name == "killed by signal 9");
    CHECK(unit::classify(nullptr, code(0), dirty_line, started()).name == "clean exit");
    CHECK(unit::classify(nullptr, code(1), dirty_line + "\nwrite: No space left on device\n", {}).name ==
          "disk full");
    CHECK(unit::classify(nullptr, code(1), dirty_line + "\nbind: Address already in use\n", {}).name ==
          "port in use");
  }
  SECTION("other words are none") {
    for (const std::string line : {"database opened", "corrupt peer disconnected", "checksum ok"})
      CHECK(unit::classify(nullptr, code(1), line, {}).name == "unexplained");
  }
}

TEST_CASE("the line that decided is quoted, the last of a run is not") {
  CHECK(unit::quoted_line(unit::classify(nullptr, code(1), "MDBX_CORRUPTED\nends\n", {})) == " (\"MDBX_CORRUPTED\")");
  CHECK(unit::quoted_line(unit::classify(nullptr, code(1), "begins\nends\n", {})).empty());
  CHECK(unit::quoted_line(unit::classify(nullptr, code(0), "ends\n", started())).empty());
  const auto r = nodeos_like();
  const auto text =
      unit::quoted_line(unit::classify(&r, code(2), "database dirty flag set" + std::string(300, 'x'), {}));
  CHECK(text == " (\"database dirty flag set" + std::string(137, 'x') + "…\")");
}

TEST_CASE("a run that goes on but will never have started says so in its output") {
  constexpr std::string_view deaf = "http service failed to start: bind: Address already in use\nProduced block 17\n";
  CHECK(unit::why_never_started(nullptr, deaf)->name == "port in use");
  CHECK_FALSE(unit::why_never_started(nullptr, "loading the snapshot\n"));
  const auto of = [](std::vector<int> codes, std::string log, model::class_action action) {
    model::recipe r;
    r.classes = {one_class("a class", std::move(codes), std::move(log), action)};
    return r;
  };
  const auto restart = of({}, "bind: Address already in use", model::class_action::restart);
  CHECK(unit::why_never_started(&restart, deaf)->name == "a class");
  // It did not end: what asks for an exit code is not it, and a person or a snapshot is not asked for while it runs.
  const auto with_code = of({254}, "Produced block", model::class_action::restart);
  CHECK(unit::why_never_started(&with_code, deaf)->name == "port in use");
  const auto hold = of({}, "Address already in use", model::class_action::hold);
  CHECK_FALSE(unit::why_never_started(&hold, deaf));
}

TEST_CASE("a recipe's class needs all that it asks for") {
  const auto r = nodeos_like();
  const auto c = unit::classify(&r, code(2), dirty, {});
  CHECK(c.name == "dirty database");
  CHECK(c.action == exit_action::recover);
  CHECK(c.evidence.find("replay required") != std::string::npos);

  CHECK(unit::classify(&r, code(254), dirty, {}).action == exit_action::unexplained);
  CHECK(unit::classify(&r, code(2), "no such words\n", {}).action == exit_action::unexplained);
  CHECK(unit::classify(&r, killed(9), dirty, {}).action == exit_action::restart);
}

TEST_CASE("match any is content with one of them") {
  model::recipe r;
  r.classes = {one_class("gone", {7}, "^gone$", model::class_action::recover, model::match_mode::any)};
  CHECK(unit::classify(&r, code(7), "", {}).name == "gone");
  CHECK(unit::classify(&r, code(0), "a\ngone\n", {}).name == "gone");
  CHECK(unit::classify(&r, code(1), "is gone\n", {}).action == exit_action::unexplained);
}

TEST_CASE("the time since its start narrows a class, and is told") {
  model::recipe r;
  r.classes = {one_class("dies at once", {1}, "", model::class_action::hold),
               one_class("dies late", {1}, "", model::class_action::restart)};
  r.classes[0].within = base::duration{3'000};
  r.classes[1].after = base::duration{3'000};
  const auto after = [&](std::optional<base::duration> lived) {
    auto f = started();
    f.lived = lived;
    return unit::classify(&r, code(1), "", f);
  };
  CHECK(after(base::duration{2'999}).name == "dies at once");
  CHECK(after(base::duration{2'400}).grounds == "2.4s after its start");
  CHECK(after(base::duration{3'000}).name == "dies late");
  CHECK(after(base::duration{90'000}).grounds == "1m30s after its start");
  CHECK(after(std::nullopt).name == "unexplained");  // nobody saw it end
  CHECK(after(std::nullopt).grounds.empty());
  auto f = started();
  f.lived = base::duration{1};
  CHECK(unit::classify(&r, code(2), "", f).name == "unexplained");  // all that is asked must hold
  CHECK(exit_text(code(1), after(base::duration{2'400})) ==
        "exited with " + to_text(code(1)) + ": dies at once (2.4s after its start)");
}

TEST_CASE("both ends of a time are one condition each, told once") {
  model::recipe r;
  r.classes = {one_class("in between", {}, "", model::class_action::restart)};
  r.classes[0].after = base::duration{1'000};
  r.classes[0].within = base::duration{3'000};
  for (const auto& [ms, matches] : {std::pair{999, false}, {1'000, true}, {2'999, true}, {3'000, false}}) {
    CAPTURE(ms);
    auto f = started();
    f.lived = base::duration{ms};
    CHECK((unit::classify(&r, code(1), "", f).name == "in between") == matches);
  }
  auto f = started();
  f.lived = base::duration{2'000};
  CHECK(unit::classify(&r, code(1), "", f).grounds == "2s after its start");
}

TEST_CASE("what the probes had said narrows a class, and is told") {
  model::recipe r;
  r.classes = {one_class("never came up", {}, "^cannot load", model::class_action::recover),
               one_class("fell behind", {1}, "", model::class_action::hold),
               one_class("was well", {1}, "", model::class_action::restart)};
  r.classes[0].startup = model::startup_seen::not_passed;
  r.classes[1].readiness = model::readiness_seen::failed;
  r.classes[2].startup = model::startup_seen::passed;
  r.classes[2].readiness = model::readiness_seen::passed;
  const auto with = [&](std::optional<bool> startup, std::optional<bool> readiness) {
    unit::run_facts f;
    f.startup = startup;
    f.readiness = readiness;
    return unit::classify(&r, code(1), "cannot load the state\n", f);
  };
  CHECK(with(false, {}).name == "never came up");
  CHECK(with(false, {}).grounds == "its startup had not passed");
  CHECK(with(false, {}).evidence == "cannot load the state");
  CHECK(with(true, false).name == "fell behind");
  CHECK(with(true, false).grounds == "its readiness had failed");
  CHECK(with(true, true).name == "was well");
  CHECK(with(true, true).grounds == "its startup had passed, its readiness had passed");
  // What nobody knows is neither the one nor the other.
  CHECK(with({}, {}).action == exit_action::unexplained);
  CHECK(with({}, true).action == exit_action::unexplained);
}

TEST_CASE("with match any the time or a probe is enough") {
  model::recipe r;
  r.classes = {one_class("early or told", {7}, "", model::class_action::hold, model::match_mode::any)};
  r.classes[0].within = base::duration{1'000};
  r.classes[0].startup = model::startup_seen::not_passed;
  unit::run_facts f;
  f.lived = base::duration{5'000};
  f.startup = true;
  CHECK(unit::classify(&r, code(7), "", f).name == "early or told");
  CHECK(unit::classify(&r, code(7), "", f).grounds.empty());
  CHECK(unit::classify(&r, code(1), "", f).name == "unexplained");
  f.startup = false;
  CHECK(unit::classify(&r, code(1), "", f).grounds == "its startup had not passed");
  f.startup = true;
  f.lived = base::duration{500};
  CHECK(unit::classify(&r, code(1), "", f).grounds == "500ms after its start");
}

TEST_CASE("of a run that hasup ended neither the time nor the probes say anything") {
  model::recipe r;
  r.classes = {one_class("early", {}, "", model::class_action::hold)};
  r.classes[0].within = base::duration{60'000};
  auto f = started();
  f.lived = base::duration{10};
  CHECK(unit::classify(&r, by_signal(SIGTERM), "", f).name == "early");
  f.asked_to_stop = true;
  CHECK(unit::classify(&r, by_signal(SIGTERM), "", f).name == "stopped");
  r.classes[0].within.reset();
  r.classes[0].startup = model::startup_seen::passed;
  f.startup = true;
  CHECK(unit::classify(&r, by_signal(SIGTERM), "", f).name == "stopped");
}

TEST_CASE("a run that goes on has no end that a class could ask for, but it has not started") {
  model::recipe r;
  r.classes = {one_class("deaf", {}, "^no port", model::class_action::restart)};
  r.classes[0].startup = model::startup_seen::not_passed;
  CHECK(unit::why_never_started(&r, "no port\n")->name == "deaf");
  r.classes[0].after = base::duration{0};
  CHECK_FALSE(unit::why_never_started(&r, "no port\n"));
}

TEST_CASE("the first class that matches wins") {
  model::recipe r;
  r.classes = {one_class("first", {3}, "", model::class_action::hold),
               one_class("second", {3}, "", model::class_action::recover)};
  CHECK(unit::classify(&r, code(3), "", {}).name == "first");
}

TEST_CASE("signals are matched by the recipe") {
  model::recipe r;
  model::exit_class c;
  c.name = "bus error";
  c.signals = {SIGBUS};
  c.action = model::class_action::hold;
  r.classes = {c};
  CHECK(unit::classify(&r, killed(SIGBUS), "", {}).name == "bus error");
  CHECK(unit::classify(&r, killed(SIGSEGV), "", {}).name == "killed by signal 11");
}

TEST_CASE("patterns see one line at a time, without colours and carriage returns") {
  const auto r = nodeos_like();
  CHECK(unit::classify(&r, code(1), "info one\n\x1b[31merror\x1b[0m no fork database\r\n", {}).name == "damaged log");
  CHECK(unit::classify(&r, code(1), "error one\nfork database\n", {}).action == exit_action::unexplained);
  // Text that a peer sent stands inside a line, where an anchored pattern does not see it.
  CHECK(unit::classify(&r, code(1), "info peer says: error x fork database\n", {}).action ==
        exit_action::unexplained);
}

TEST_CASE("a line that the evidence ring has torn is not matched") {
  const auto r = nodeos_like();
  std::string torn = "error made up by a peer fork database\n";
  torn += std::string(unit::evidence_limit - torn.size() - 1, 'x') + "\n";
  REQUIRE(torn.size() == unit::evidence_limit);
  CHECK(unit::classify(&r, code(1), torn, {}).action == exit_action::unexplained);
  CHECK(unit::classify(&r, code(1), "info more\n" + torn, {}).action == exit_action::unexplained);
}

TEST_CASE("a taken port never recovers") {
  const auto r = nodeos_like();
  const auto c = unit::classify(&r, code(0), "error net bind: Address already in use\n", {});
  CHECK(c.name == "address in use");
  CHECK(c.action == exit_action::restart);
  // The same without a recipe, and beside a log match that would recover.
  CHECK(unit::classify(nullptr, code(1), "listen: EADDRINUSE :::3333\n", {}).name == "port in use");
  model::recipe by_log;
  by_log.classes = {one_class("broken", {}, "broken", model::class_action::recover)};
  const auto both = unit::classify(&by_log, code(1), "broken\nbind: Address already in use\n", {});
  CHECK(both.name == "port in use");
  CHECK(both.action == exit_action::restart);
}

TEST_CASE("a full disk holds, whatever else the run shows") {
  const auto r = nodeos_like();
  const auto c = unit::classify(&r, code(2), dirty + "write: No space left on device\n", {});
  CHECK(c.name == "disk full");
  CHECK(c.action == exit_action::hold);
  CHECK(c.advice.find("dirty database") != std::string::npos);

  unit::run_facts full;
  full.disk_full = true;
  const auto known = unit::classify(&r, code(2), dirty, full);
  CHECK(known.name == "disk full");
  CHECK(known.action == exit_action::hold);
  CHECK(unit::exit_text(code(2), known) == "exited with code 2: disk full (nothing was free where its data is)");
  // A crash of which nobody knows the reason counts as little.
  CHECK(unit::classify(nullptr, killed(SIGSEGV), "", full).action == exit_action::hold);
  CHECK(unit::classify(nullptr, killed(SIGBUS), "No space left on device\n", started()).action == exit_action::hold);
}

TEST_CASE("a bus error that no class knows holds, since a full disk under a mapped file looks like that") {
  const auto r = nodeos_like();
  const auto c = unit::classify(&r, killed(SIGBUS), "loading\n", {});
  CHECK(c.name == "probably a full disk under a mapped file");
  CHECK(c.action == exit_action::hold);
  CHECK(c.advice.find("free space") == 0);
  CHECK(unit::classify(&r, killed(SIGBUS), "loading\n", started()).action == exit_action::hold);
  unit::run_facts full;
  full.disk_full = true;
  CHECK(unit::classify(&r, killed(SIGBUS), "", full).name == "disk full");
  // Without a recipe nothing is ever replaced: it is a crash like every other.
  CHECK(unit::classify(nullptr, killed(SIGBUS), "", {}).action == exit_action::unexplained);
  unit::run_facts stopped;
  stopped.asked_to_stop = true;
  CHECK(unit::classify(&r, killed(SIGBUS), "", stopped).action == exit_action::restart);
}

TEST_CASE("the disk is asked only where a full one would make something else of an exit") {
  const auto r = nodeos_like();
  const auto asked = [&](const model::exit_status& status, const std::string& log) {
    return unit::asks_for_free_space(unit::classify(&r, status, log, {}), status);
  };
  CHECK(asked(code(2), dirty));
  CHECK(asked(code(1), "nobody knows\n"));
  CHECK(asked(killed(SIGSEGV), ""));
  CHECK(asked(killed(SIGBUS), ""));
  CHECK_FALSE(asked(killed(SIGKILL), ""));
  CHECK_FALSE(asked(code(2), dirty + "write: No space left on device\n"));
  CHECK_FALSE(asked(code(0), "error net bind: Address already in use\n"));
}

TEST_CASE("a denied permission holds instead of a recovery by log text") {
  model::recipe redis;
  redis.classes = {one_class("damaged dump", {}, "Fatal error loading the DB", model::class_action::recover)};
  const auto denied =
      unit::classify(&redis, code(1), "Fatal error loading the DB: Permission denied. Exiting.\n", {});
  CHECK(denied.name == "permission denied");
  CHECK(denied.action == exit_action::hold);
  CHECK(unit::classify(&redis, code(1), "Fatal error loading the DB: Invalid argument. Exiting.\n", {}).action ==
        exit_action::recover);
}

TEST_CASE("kills from outside blame nobody, crashes stay unexplained") {
  CHECK(unit::classify(nullptr, killed(9), "", {}).name == "killed by signal 9");
  CHECK(unit::classify(nullptr, killed(9), "", {}).action == exit_action::restart);
  CHECK(unit::classify(nullptr, killed(SIGTERM), "", {}).action == exit_action::restart);
  CHECK(unit::classify(nullptr, killed(SIGSEGV), "", {}).action == exit_action::unexplained);
  CHECK(unit::classify(nullptr, model::exit_status{}, "", {}).name == "lost");
  CHECK(unit::classify(nullptr, model::exit_status{}, "", {}).action == exit_action::restart);
  CHECK(unit::classify(nullptr, code(1), "terminate: std::bad_alloc\n", {}).name == "out of memory");
}

TEST_CASE("exit 0 is a clean end only of a run that had started") {
  CHECK(unit::classify(nullptr, code(0), "nodeos successfully exiting\n", {}).action == exit_action::unexplained);
  CHECK(unit::classify(nullptr, code(0), "nodeos successfully exiting\n", {}).evidence ==
        "nodeos successfully exiting");
  CHECK(unit::classify(nullptr, code(0), "", started()).name == "clean exit");
}

TEST_CASE("a run that hasup stopped never recovers") {
  const auto r = nodeos_like();
  auto facts = started();
  facts.asked_to_stop = true;
  CHECK(unit::classify(&r, code(2), dirty, facts).action == exit_action::restart);
  CHECK(unit::classify(nullptr, code(254), "Database load aborted\n", facts).name == "stopped");
  CHECK(unit::classify(nullptr, by_signal(SIGTERM), "", facts).name == "stopped");
  CHECK(unit::classify(&r, code(0), "bind: Address already in use\n", facts).name == "stopped");
  CHECK(unit::classify(nullptr, by_signal(SIGSEGV), "", facts).name == "killed by signal 11");
  CHECK(unit::classify(nullptr, by_signal(SIGKILL), "", facts).advice.find("out-of-memory") != std::string::npos);
  facts.killed_by_hasup = true;
  const auto killed = unit::classify(nullptr, by_signal(SIGKILL), "", facts);
  CHECK(killed.name == "killed by hasup");
  CHECK(killed.advice.find("stop_timeout") != std::string::npos);
}

TEST_CASE("a start that never ran names the program") {
  CHECK(unit::classify_exec_error(ENOENT, "/usr/bin/nodeos").name == "missing program");
  CHECK(unit::classify_exec_error(ENOENT, "/usr/bin/nodeos").action == exit_action::hold);
  CHECK(unit::classify_exec_error(ENOENT, "/usr/bin/nodeos").evidence ==
        "/usr/bin/nodeos: No such file or directory");
  CHECK(unit::classify_exec_error(EACCES, "x").name == "permission denied");
  CHECK(unit::classify_exec_error(EAGAIN, "x").action == exit_action::restart);
  CHECK(unit::classify_exec_error(ELOOP, "x").action == exit_action::hold);
  const auto never_tried = unit::classify_exec_error(0, "x");
  CHECK(never_tried.name == "cannot be started");
  CHECK(never_tried.action == exit_action::hold);
  CHECK(never_tried.evidence + never_tried.advice == "");
}

TEST_CASE("the line that a plan is refused by is found anywhere in the output") {
  const std::string text = "info a\nerror missed a block in trace_history.log\nnodeos successfully exiting\n";
  CHECK(unit::matching_line({"does not contain", "missed a block in"}, text) ==
        "error missed a block in trace_history.log");
  CHECK(unit::matching_line({"does not contain"}, text).empty());
  CHECK(unit::matching_line({"("}, text).empty());
}

TEST_CASE("long and binary lines are shown in part") {
  std::string evidence = std::string(5000, 'a') + "\n";
  CHECK(unit::classify(nullptr, code(1), evidence, {}).evidence.size() <= 410);
  std::string binary = "x";
  binary.push_back('\0');
  binary += "y\xff\xfe\n";
  CHECK_NOTHROW(unit::classify(nullptr, code(1), binary, {}));
}

TEST_CASE("a kill while the kernel's killer was at work is likely its work, and the words say no more") {
  auto facts = started();
  facts.machine_oom_kills = 1;
  const auto c = unit::classify(nullptr, killed(SIGKILL), "info all is well\n", facts);
  CHECK(c.name == "probably out of memory");
  CHECK(c.action == exit_action::restart);
  CHECK(c.evidence.empty());
  CHECK(c.grounds.find("a process of this machine for want of memory while it ran; nothing proves") !=
        std::string::npos);
  CHECK(c.advice.find("dmesg") != std::string::npos);
  facts.machine_oom_kills = 3;
  CHECK(unit::classify(nullptr, killed(SIGKILL), "", facts).grounds.find("3 processes") != std::string::npos);
  // Also of a run that was to end: it did not come to it.
  facts.asked_to_stop = true;
  CHECK(unit::classify(nullptr, killed(SIGKILL), "", facts).name == "probably out of memory");
  // A failed start of this kind blames nobody either.
  facts = {};
  facts.machine_oom_kills = 1;
  CHECK(unit::classify(nullptr, killed(SIGKILL), "", facts).action == exit_action::restart);
}

TEST_CASE("only a SIGKILL that hasup did not send is taken for the kernel's") {
  auto facts = started();
  facts.machine_oom_kills = 1;
  CHECK(unit::classify(nullptr, killed(SIGSEGV), "", facts).name == "killed by signal 11");
  CHECK(unit::classify(nullptr, code(1), "", facts).action == exit_action::unexplained);
  CHECK(unit::classify(nullptr, model::exit_status{}, "", facts).name == "lost");
  facts.kill_sent = true;
  CHECK(unit::classify(nullptr, killed(SIGKILL), "", facts).name == "killed by signal 9");
  CHECK(unit::classify(nullptr, killed(SIGKILL), "", facts).advice.empty());
  facts.asked_to_stop = facts.killed_by_hasup = true;
  CHECK(unit::classify(nullptr, killed(SIGKILL), "", facts).name == "killed by hasup");
  // The run's own cgroup knows better than the machine's counter.
  auto sure = started();
  sure.oom_kills = 1;
  sure.machine_oom_kills = 0;
  CHECK(unit::classify(nullptr, killed(SIGKILL), "", sure).name == "out of memory");
}

TEST_CASE("where the kernel's killer was not at work, somebody else is looked for") {
  auto facts = started();
  CHECK(unit::classify(nullptr, killed(SIGKILL), "", facts).advice.find("out-of-memory killer") != std::string::npos);
  facts.machine_oom_kills = 0;
  const auto c = unit::classify(nullptr, killed(SIGKILL), "", facts);
  CHECK(c.name == "killed by signal 9");
  CHECK(c.advice.find("the kernel did not kill it for want of memory") == 0);
}

TEST_CASE("what is likely the kernel's work never recovers; the recipe's restart and hold stand") {
  model::recipe r;
  r.classes = {one_class("broken", {}, "^broken", model::class_action::recover)};
  auto facts = started();
  facts.machine_oom_kills = 1;
  const auto c = unit::classify(&r, killed(SIGKILL), "broken\n", facts);
  CHECK(c.name == "probably out of memory");
  CHECK(c.action == exit_action::restart);
  CHECK(c.advice.find("the run also showed \"broken\"") != std::string::npos);
  CHECK(unit::classify(&r, code(1), "broken\n", facts).action == exit_action::recover);
  for (const auto& [action, means] : {std::pair{model::class_action::hold, exit_action::hold},
                                      {model::class_action::restart, exit_action::restart}}) {
    r.classes[0].action = action;
    CHECK(unit::classify(&r, killed(SIGKILL), "broken\n", facts).name == "broken");
    CHECK(unit::classify(&r, killed(SIGKILL), "broken\n", facts).action == means);
  }
  // A full disk explains more, and holds.
  CHECK(unit::classify(&r, killed(SIGKILL), "No space left on device\n", facts).name == "disk full");
}

TEST_CASE("a run that the kernel killed for want of memory says only that") {
  auto facts = started();
  facts.oom_kills = 1;
  facts.memory_max = 64 << 20;
  const auto recipe = nodeos_like();
  const auto c = unit::classify(&recipe, killed(SIGKILL), "error x fork database\nNo space left on device\n", facts);
  CHECK(c.name == "out of memory");
  CHECK(c.action == exit_action::restart);
  CHECK(c.advice.find("memory_max = 64MiB") != std::string::npos);
  facts.memory_max = 0;
  CHECK(unit::classify(&recipe, killed(SIGKILL), "", facts).advice.find("machine") != std::string::npos);
  // A child was killed, but the main process ended of something else.
  CHECK(unit::classify(&recipe, code(2), "database dirty flag set\n", facts).name == "dirty database");
  CHECK(unit::classify(&recipe, killed(SIGSEGV), "", facts).name == "killed by signal 11");
  facts.oom_kills = 0;
  CHECK(unit::classify(&recipe, killed(SIGKILL), "", facts).name == "killed by signal 9");
}

TEST_CASE("what a run says that forbids a recovery while it goes on") {
  model::recipe r;
  model::exit_class full;
  full.name = "disk nearly full";
  full.log = "exceeded file system configured threshold";
  full.action = model::class_action::hold;
  model::exit_class dirty;
  dirty.name = "dirty database";
  dirty.log = "dirty flag set";
  dirty.action = model::class_action::recover;
  model::exit_class by_code;
  by_code.name = "configuration";
  by_code.exit_codes = {254};
  by_code.log = "plugin_config_exception";
  by_code.action = model::class_action::hold;
  r.classes = {dirty, by_code, full};
  CHECK(unit::why_left_alone(r, "block 1\nblock 2\n").empty());
  CHECK(unit::why_left_alone(r, "database dirty flag set\n").empty());
  CHECK(unit::why_left_alone(r, "plugin_config_exception\n").empty());  // its exit code must speak for it
  CHECK(unit::why_left_alone(r, "dirty flag set\nexceeded file system configured threshold\nblock 3\n") ==
        "disk nearly full: exceeded file system configured threshold");
  CHECK(unit::why_left_alone(r, "write: No space left on device\n") == "disk full: write: No space left on device");
}

TEST_CASE("next_endpoint is said of a run that ended by itself, else it is a restart") {
  model::recipe r;
  r.classes = {one_class("refused", {}, "^refused", model::class_action::next_endpoint)};
  r.classes.front().upstream = "leap";
  const auto c = unit::classify(&r, code(0), "refused\n", {});
  CHECK(c.action == exit_action::next_endpoint);
  CHECK(c.upstream == "leap");
  CHECK(unit::classify(&r, killed(SIGKILL), "refused\n", {}).action == exit_action::restart);
  unit::run_facts stopped;
  stopped.asked_to_stop = true;
  CHECK(unit::classify(&r, code(1), "refused\n", stopped).action == exit_action::restart);
  CHECK(unit::why_never_started(&r, "refused\n")->name == "refused");
}
