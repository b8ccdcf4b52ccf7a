// The command line: verbs, options, help, suggestions; completion knows all verbs; the manual pages too.
#include <catch2/catch.hpp>
#include <fstream>
#include <iterator>
#include <limits>

#include "cli/completion.hpp"
#include "cli/invocation.hpp"

using namespace hasup;
using namespace hasup::cli;

namespace {

invocation parsed(const std::vector<std::string>& words) {
  auto r = parse_command_line(words);
  if (const auto* a = std::get_if<answer>(&r)) FAIL(a->text);
  return std::get<invocation>(r);
}
answer answered(const std::vector<std::string>& words) {
  auto r = parse_command_line(words);
  REQUIRE(std::holds_alternative<answer>(r));
  return std::get<answer>(r);
}
std::string file_text(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

}  // namespace

TEST_CASE("behind the unit of exec everything is the command's") {
  using words = std::vector<std::string>;
  const auto command = [](const words& typed) {
    const auto i = parsed(typed);
    CHECK(i.verb == "exec");
    CHECK(i.targets == words{"leap"});
    return i.arguments;
  };
  CHECK(command({"exec", "leap", "--", "ls", "-l"}) == words{"ls", "-l"});
  CHECK(command({"exec", "leap", "ls", "-l"}) == words{"ls", "-l"});
  CHECK(command({"exec", "leap", "sh", "--", "x"}) == words{"sh", "--", "x"});
  CHECK(command({"exec", "leap", "--", "--", "x"}) == words{"--", "x"});
  CHECK(command({"exec", "leap", "prog", "--help"}) == words{"prog", "--help"});
  for (const auto& wrong :
       {words{"exec", "leap"}, words{"exec", "leap", "--"}, words{"exec"}, words{"exec", "--", "x"}})
    CHECK(answered(wrong).code == exit_code::usage);
  CHECK(answered({"exec", "--help"}).code == exit_code::done);
}

TEST_CASE("the daemon's verb, and a start that adopts") {
  const auto upgrade = parsed({"daemon", "upgrade", "--binary", "/x/hasupd", "--json"});
  CHECK(upgrade.word == "upgrade");
  CHECK(upgrade.binary == "/x/hasupd");
  CHECK(upgrade.json);
  CHECK(answered({"daemon"}).code == exit_code::usage);
  CHECK(answered({"daemon", "restart"}).code == exit_code::usage);
  CHECK(parsed({"start", "leap", "--adopt"}).adopt);
  CHECK(answered({"start", "--all", "--adopt"}).code == exit_code::usage);
  CHECK(parsed({"start", "leap", "--from-nothing"}).from_nothing);
  CHECK(answered({"start", "--all", "--from-nothing"}).code == exit_code::usage);
  CHECK(answered({"start", "a", "b", "--from-nothing"}).code == exit_code::usage);
  CHECK(answered({"start", "a", "b", "--adopt"}).code == exit_code::usage);
  CHECK(answered({"start", "a", "--adopt", "--once", "--", "x"}).code == exit_code::usage);
}

TEST_CASE("options are understood, aliases become the verb") {
  CHECK(parsed({"ls", "--json"}).verb == "status");
  CHECK(parsed({"ps"}).verb == "status");
  CHECK(parsed({"describe", "leap"}).verb == "why");
  const auto stop = parsed({"stop", "leap", "miner@2", "--no-kill", "--timeout", "1m30s"});
  CHECK(stop.targets == std::vector<std::string>{"leap", "miner@2"});
  CHECK(stop.no_kill);
  CHECK(stop.timeout == base::duration{90'000});
  CHECK(parsed({"stop", "--all"}).all);
  const auto logs = parsed({"logs", "leap", "-f", "-n", "5", "--grep", "a|b", "--since", "10m", "-t"});
  CHECK(logs.follow);
  CHECK(logs.lines == 5);
  CHECK(logs.grep == "a|b");
  CHECK(logs.timestamps);
  CHECK(parsed({"logs", "-n", "all"}).lines == std::numeric_limits<std::size_t>::max());
  CHECK(parsed({"wait", "leap"}).wanted == "healthy");
  CHECK(parsed({"wait", "leap", "--for", "stopped"}).wanted == "stopped");
  const auto recover = parsed({"recover", "leap", "--snapshot", "a.bin", "--plan", "full set", "--dry-run", "-y"});
  CHECK(recover.snapshot == "a.bin");
  CHECK(recover.plan == "full set");
  CHECK(recover.dry_run);
  CHECK(recover.yes);
  CHECK(parsed({"probe", "antelope", "url=http://x"}).targets.size() == 2);
  const auto import = parsed({"import", "pm2", "list.json", "--output", "/x", "--force", "--dry-run"});
  CHECK(import.tool == "pm2");
  CHECK(import.list == "list.json");
  CHECK(import.output == "/x");
  CHECK(import.force);
  CHECK(import.dry_run);
  CHECK(parsed({"import", "pm2", "-"}).list == "-");
  CHECK(parsed({"import", "pm2", "--running"}).running);
  const auto init =
      parsed({"init", "eos-evm/leap", "geth", "--set", "a=b", "--set", "leap.c=d e", "--output", "/x", "-y"});
  CHECK(init.targets == std::vector<std::string>{"eos-evm/leap", "geth"});
  CHECK(init.sets == std::vector<std::string>{"a=b", "leap.c=d e"});
  CHECK(init.output == "/x");
  CHECK(init.yes);
  CHECK(parsed({"init", "--list"}).list_all);
  CHECK(parsed({"init", "--set", "a=b", "leap"}).targets == std::vector<std::string>{"leap"});
  CHECK(parsed({"init", "leap", "--name", "leap-2"}).name == "leap-2");
  CHECK(parsed({"classify", "nodeos", "--exit", "2", "--log", "x"}).exit_status == 2);
  CHECK_FALSE(parsed({"classify", "nodeos", "--exit", "2"}).ran_for);
  CHECK(parsed({"classify", "nodeos", "--exit", "2", "--ran-for", "3s"}).ran_for == base::duration{3000});
  CHECK(parsed({"classify", "nodeos", "--exit", "2", "--readiness", "failed"}).readiness == "failed");
}

TEST_CASE("wrong command lines are usage errors that help") {
  for (const auto& words :
       std::vector<std::vector<std::string>>{{"stop"},
                                             {"start", "--all", "leap"},
                                             {"stop", "leap", "--timeout", "10"},
                                             {"logs", "-n", "-5"},
                                             {"logs", "-n", "x"},
                                             {"wait"},
                                             {"wait", "leap", "--for", "happy"},
                                             {"why"},
                                             {"recover"},
                                             {"recover", "a", "b"},
                                             {"recover", "a", "--cancel", "--dry-run"},
                                             {"recover", "a", "--from", "x", "--snapshot", "y"},
                                             {"completion", "tcsh"},
                                             {"classify", "nodeos"},
                                             {"classify", "nodeos", "--exit", "1", "--ran-for", "3"},
                                             {"classify", "nodeos", "--exit", "1", "--readiness", "no"},
                                             {"init"},
                                             {"init", "a", "b", "--name", "c"},
                                             {"import"},
                                             {"import", "supervisord"},
                                             {"import", "pm2", "x", "--running"},
                                             {"status", "--what"},
                                             {"graph", "leap"},
                                             {"--what"}}) {
    const auto a = answered(words);
    INFO(words[0] << ": " << a.text);
    CHECK(a.code == exit_code::usage);
    CHECK_FALSE(a.text.empty());
  }
}

TEST_CASE("a usage error names the unit that was given") {
  const auto says = [](const std::vector<std::string>& words, const std::string& text) {
    const auto a = answered(words);
    INFO(a.text);
    CHECK(a.code == exit_code::usage);
    CHECK(a.text.find(text) != std::string::npos);
  };
  says({"start", "redis", "geth", "--from-nothing"}, "takes one unit: hasup start redis --from-nothing\n");
  says({"start", "--all", "--from-nothing"}, "takes one unit: hasup start etcd --from-nothing\n");
  says({"start", "redis", "--from-nothing", "--adopt"}, "--from-nothing or --adopt, not both");
  says({"start", "redis", "--once"}, "hasup start redis --once -- ");
}

TEST_CASE("an unknown verb suggests the nearest, or what other tools call it") {
  CHECK(answered({"stauts"}).text.find("`hasup status`") != std::string::npos);
  CHECK(answered({"recver", "leap"}).text.find("`hasup recover`") != std::string::npos);
  CHECK(answered({"up"}).text.find("`hasup start`") != std::string::npos);
  CHECK(answered({"xyzzy"}).text.find("did you mean") == std::string::npos);
  CHECK(answered({"xyzzy"}).code == exit_code::usage);
}

TEST_CASE("every verb has help with an example, and the whole help names every verb") {
  const auto whole = answered({"--help"});
  CHECK(whole.code == exit_code::done);
  for (const auto& v : verb_shapes()) {
    INFO(v.name);
    CHECK(whole.text.find("  " + v.name) != std::string::npos);
    const auto own = answered({"help", v.name});
    CHECK(own.code == exit_code::done);
    CHECK(own.text.find(v.summary) != std::string::npos);
    if (v.name != "version") CHECK(own.text.find("hasup " + v.name) != std::string::npos);
    CHECK(answered({v.name, "--help"}).text == own.text);
  }
  CHECK(answered({}).text == whole.text);
  CHECK(answered({"--version"}).text.starts_with("hasup "));
}

TEST_CASE("help has the keys of every file, whole and by table, and a verb stays a verb") {
  const auto has = [](const std::string& text, std::string_view what) {
    return text.find(what) != std::string::npos;
  };
  const auto unit = answered({"help", "unit"});
  CHECK(unit.code == exit_code::done);
  CHECK(has(unit.text, "`man 5 hasup-unit`"));
  CHECK(has(unit.text, "\n[schedule]  what is done by the clock\n"));
  CHECK(has(unit.text, "  restart.policy  (one of never, on_failure, always; default \"always\")\n      when it"));
  CHECK(has(unit.text, "hasup help unit readiness"));
  CHECK_FALSE(has(unit.text, "readiness.interval"));
  CHECK(has(unit.text, "[upstream]  servers to choose from"));
  CHECK_FALSE(has(unit.text, "through"));  // not yet
  const auto readiness = answered({"help", "unit", "readiness"});
  CHECK(has(readiness.text, "  readiness.interval  (duration"));
  CHECK_FALSE(has(readiness.text, "run.command"));
  CHECK(answered({"help", "schedule"}).text == answered({"help", "unit", "schedule"}).text);
  CHECK(has(answered({"help", "recipe"}).text, "classify[].exit_code"));
  CHECK(has(answered({"help", "recipe", "confirm"}).text, "confirm.within"));
  CHECK(has(answered({"help", "preset"}).text, "`man 5 hasup-probe`"));
  CHECK(has(answered({"help", "hasup.toml"}).text, "boot.start"));
  const auto upstreams = answered({"help", "upstreams"}).text;
  CHECK(has(upstreams, "  probe.url  (string)"));
  CHECK(has(upstreams, "  probe.kind  (one of http, jsonrpc, websocket, tcp)"));
  CHECK(has(upstreams, "  probe.expect[].max_age  "));
  for (const auto* key : {"command", "pattern", "max_age", "time", "through", "port_owner", "needs"}) {
    INFO(key);
    CHECK_FALSE(has(upstreams, std::string("  probe.") + key + "  "));
    CHECK_FALSE(has(upstreams, std::string("  probe.check[].") + key + "  "));
  }
  CHECK(has(answered({"--help"}).text, "`upstreams`"));
  CHECK(has(answered({"help", "upstream"}).text, "`hasup help upstreams`"));

  CHECK(has(answered({"help", "probe"}).text, "hasup help preset"));
  const auto restart = answered({"help", "restart"}).text;
  CHECK(has(restart, "Restart units"));
  CHECK(has(restart, "hasup help unit restart"));
  CHECK(answered({"restart", "--help"}).text == restart);
  CHECK(has(answered({"help", "unit", "restart"}).text, "restart.success_codes"));
  for (const auto& wrong : std::vector<std::vector<std::string>>{{"help", "xyzzy"}, {"help", "unit", "xyzzy"}})
    CHECK(answered(wrong).code == exit_code::usage);
  CHECK(answered({"unit"}).code == exit_code::usage);
}

TEST_CASE("completion lists all verbs and options for each shell") {
  for (const auto* shell : {"bash", "zsh", "fish"}) {
    const auto script = completion_script(shell);
    for (const auto& v : verb_shapes()) {
      INFO(shell << " " << v.name);
      CHECK(script.find(v.name) != std::string::npos);
      for (const auto& o : v.options) CHECK(script.find(o.substr(o.find_first_not_of('-'))) != std::string::npos);
    }
  }
  CHECK(completion_script("tcsh").empty());
}

TEST_CASE("the manual page of the command line describes every verb and long option") {
  auto page = file_text(std::string(HASUP_SOURCE_DIR) + "/docs/man/hasup.1");
  REQUIRE_FALSE(page.empty());
  for (std::size_t at = 0; (at = page.find("\\-", at)) != std::string::npos;) page.erase(at, 1);
  for (const auto& v : verb_shapes()) {
    INFO(v.name);
    CHECK(page.find("\n.B " + v.name) != std::string::npos);
    for (const auto& o : v.options) {
      INFO(o);
      if (o.starts_with("--") && o != "--help") CHECK(page.find(o) != std::string::npos);
    }
  }
}
