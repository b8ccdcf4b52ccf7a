// The program `hasup` as a person uses it: exit codes and texts, against a control server made for the test.
#include <boost/json.hpp>
#include <catch2/catch.hpp>
#include <csignal>
#include <cstdlib>
#include <fstream>

#include "base/time_text.hpp"
#include "control/why.hpp"
#include "unit/cli/program.hpp"
#include "unit/control/server_harness.hpp"

using namespace hasup;
using namespace hasup::cli::testing;
using control::testing::running_server;
using control::testing::temporary_directory;

namespace {

constexpr auto up = model::desired::up;

control::instance_status instance(const char* unit, model::unit_state state, model::health health, int pid = 0) {
  control::instance_status u;
  u.unit = unit;
  u.state = state;
  u.health = health;
  u.desired = up;
  u.reason = "because";
  if (pid) u.pid = pid;
  return u;
}

// A home whose run directory is served.
struct deployment {
  running_server daemon{{}, "/run"};
  std::string home = daemon.directory.substr(0, daemon.directory.size() - 4);

  deployment() {
    daemon.on_loop([&] {
      auto& units = daemon.of.now.units;
      units.push_back(instance("leap", model::unit_state::running, model::health::healthy, 11));
      units.push_back(instance("evm-node", model::unit_state::waiting, model::health::unknown));
      units.push_back(instance("job", model::unit_state::completed, model::health::unknown));
    });
  }
  outcome hasup(const std::vector<std::string>& words) const { return run_hasup(home, words); }
  // Changes a unit and tells the followers.
  void change(const std::string& unit, model::unit_state state, model::health health, int pid = 0) {
    daemon.on_loop([&] {
      for (auto& u : daemon.of.now.units) {
        if (u.unit != unit) continue;
        u.state = state;
        u.health = health;
        u.pid = pid ? std::optional(pid) : std::nullopt;
        u.since = std::chrono::system_clock::now();
      }
    });
    daemon.publish(++seq, unit);
  }
  std::uint64_t seq = 0;
};

}  // namespace

TEST_CASE("status: the table, the details, the exit codes") {
  deployment d;
  const auto all = d.hasup({"status"});
  CHECK(all.code == 0);
  CHECK(all.out.starts_with("UNIT      STATE      HEALTH   RESTARTS  REASON\nleap      running    healthy "));
  CHECK(d.hasup({"status", "leap"}).code == 0);
  CHECK(d.hasup({"status", "leap"}).out.starts_with("leap  running, healthy\n"));
  CHECK(d.hasup({"status", "job"}).code == 0);
  CHECK(d.hasup({"status", "evm-node", "leap"}).code == 3);
  const auto unknown = d.hasup({"status", "laep"});
  CHECK(unknown.code == 4);
  CHECK(unknown.err == "hasup: no unit \"laep\"; did you mean \"leap\"?\n");
  CHECK(d.hasup({"status", "leap@1"}).code == 4);
  CHECK(all.out.find('\x1b') == std::string::npos);
}

TEST_CASE("status --json is exactly what the daemon says, or only the named units of it") {
  deployment d;
  std::string body;
  d.daemon.on_loop([&] { body = control::encode(d.daemon.of.now); });
  CHECK(d.hasup({"status", "--json"}).out == body + "\n");
  const auto one = d.hasup({"status", "evm-node", "--json"});
  CHECK(one.code == 3);
  const auto decoded = control::decode_status(one.out);
  REQUIRE(decoded.has_value());
  REQUIRE(decoded->units.size() == 1);
  CHECK(decoded->units[0].unit == "evm-node");
}

TEST_CASE("without a daemon every verb that needs it exits with 5 and says what to do") {
  temporary_directory d;
  for (const auto& words : std::vector<std::vector<std::string>>{{"status"},
                                                                 {"status", "--json"},
                                                                 {"start", "leap"},
                                                                 {"stop", "--all"},
                                                                 {"restart", "leap"},
                                                                 {"apply"},
                                                                 {"upstream"},
                                                                 {"why", "leap"},
                                                                 {"recover", "leap"},
                                                                 {"reset", "leap"},
                                                                 {"wait", "leap"},
                                                                 {"events"},
                                                                 {"events", "-f"}}) {
    INFO(words[0]);
    const auto r = run_hasup(d.path, words);
    CHECK(r.code == 5);
    CHECK(r.out.empty());
    CHECK(r.err.find("systemctl start hasupd") != std::string::npos);
  }
}

TEST_CASE("start says what follows and waits until all of it is healthy") {
  deployment d;
  d.daemon.on_loop([&] { d.daemon.of.reply = {exit_code::done, {}, {"leap@0", "evm-node@0"}, {}}; });
  auto running = start_hasup(d.home, {"start", "evm-node"});
  REQUIRE(d.daemon.eventually([&] { return d.daemon.of.commands == 1; }));
  d.change("evm-node", model::unit_state::starting, model::health::unknown, 12);
  d.change("evm-node", model::unit_state::running, model::health::healthy, 12);
  const auto r = running.finish();
  CHECK(r.code == 0);
  CHECK(r.out.find("start: leap, evm-node\n") != std::string::npos);
  CHECK(r.out.find("evm-node  running: because\n") != std::string::npos);
  CHECK(r.out.find("all 2 are healthy (") != std::string::npos);
}

TEST_CASE("a start that fails exits with 1, tells the reason and points to why") {
  deployment d;
  d.daemon.on_loop([&] { d.daemon.of.reply = {exit_code::done, {}, {"evm-node@0"}, {}}; });
  auto running = start_hasup(d.home, {"start", "evm-node"});
  REQUIRE(d.daemon.eventually([&] { return d.daemon.of.commands == 1; }));
  d.change("evm-node", model::unit_state::failed, model::health::unknown);
  const auto r = running.finish();
  CHECK(r.code == 1);
  CHECK(r.err.find("evm-node is failed: because; `hasup why evm-node` tells more") != std::string::npos);
}

TEST_CASE("restart waits for another process, stop for rest, a timeout ends the waiting") {
  deployment d;
  d.daemon.on_loop([&] { d.daemon.of.reply = {exit_code::done, {}, {"leap@0"}, {}}; });
  const auto late = d.hasup({"restart", "leap", "--timeout", "50ms"});
  CHECK(late.code == 1);
  CHECK(late.err.find("leap is not healthy after") != std::string::npos);
  auto restart = start_hasup(d.home, {"restart", "leap"});
  REQUIRE(d.daemon.eventually([&] { return d.daemon.of.commands == 2; }));
  d.change("leap", model::unit_state::stopping, model::health::unknown, 11);
  d.change("leap", model::unit_state::running, model::health::healthy, 12);
  CHECK(restart.finish().code == 0);
  auto stop = start_hasup(d.home, {"stop", "leap", "--no-kill"});
  REQUIRE(d.daemon.eventually([&] { return d.daemon.of.commands == 3; }));
  d.daemon.on_loop([&] { CHECK(d.daemon.of.last.options.at("no_kill") == "true"); });
  d.change("leap", model::unit_state::stopped, model::health::unknown);
  const auto stopped = stop.finish();
  CHECK(stopped.code == 0);
  CHECK(stopped.out.find("leap is stopped (") != std::string::npos);
  CHECK(d.hasup({"restart", "leap", "--no-wait"}).code == 0);
}

TEST_CASE("Ctrl-C ends the waiting only, and says so") {
  deployment d;
  d.daemon.on_loop([&] { d.daemon.of.reply = {exit_code::done, {}, {"evm-node@0"}, {}}; });
  auto running = start_hasup(d.home, {"start", "evm-node"});
  REQUIRE(running.wait_for_output("evm-node"));
  running.signal(SIGINT);
  const auto r = running.finish();
  CHECK(r.code == 1);
  CHECK(r.err.find("no longer waiting; what was begun goes on") != std::string::npos);
}

TEST_CASE("a refusal keeps its code and message") {
  deployment d;
  d.daemon.on_loop([&] { d.daemon.of.reply = {exit_code::no_such_unit, "no unit \"x\"", {}, {}}; });
  for (const auto* verb : {"start", "stop", "restart", "recover", "reset", "why"}) {
    const auto r = d.hasup({verb, "x"});
    CHECK(r.code == 4);
    CHECK(r.err == "hasup: no unit \"x\"\n");
  }
  d.daemon.on_loop([&] {
    d.daemon.of.reply = {exit_code::invalid_configuration, "units/a.toml:1:1: error: no", {}, {}};
  });
  CHECK(d.hasup({"apply"}).code == 6);
}

TEST_CASE("wait looks and reports") {
  deployment d;
  CHECK(d.hasup({"wait", "leap"}).code == 0);
  CHECK(d.hasup({"wait", "job", "--for", "completed"}).code == 0);
  CHECK(d.hasup({"wait", "nobody"}).code == 4);
  const auto late = d.hasup({"wait", "evm-node", "--timeout", "20ms"});
  CHECK(late.code == 1);
  CHECK(late.err.find("evm-node is not healthy after") != std::string::npos);
}

TEST_CASE("why renders the story") {
  deployment d;
  control::why_report w;
  w.instances.resize(1);
  w.instances[0].status = instance("leap", model::unit_state::failed, model::health::unknown);
  w.instances[0].evidence = {"database dirty flag set"};
  d.daemon.on_loop([&] { d.daemon.of.reply = {exit_code::done, {}, {}, control::encode(w)}; });
  const auto text = d.hasup({"why", "leap"});
  CHECK(text.code == 0);
  CHECK(text.out.find("database dirty flag set") != std::string::npos);
  CHECK(control::decode_why(d.hasup({"why", "leap", "--json"}).out).value() == w);
}

TEST_CASE("events come from the daemon, and from its file when it is down") {
  temporary_directory home;
  std::filesystem::create_directories(home.path + "/state/events");
  {
    std::ofstream file(home.path + "/state/events/events.jsonl");
    for (unsigned i = 1; i <= 3; ++i) {
      control::event e;
      e.seq = i;
      e.unit = i == 2 ? "evm-node" : "leap";
      e.kind = "started";
      e.reason = "number " + std::to_string(i);
      file << control::encode(e) << "\n";
    }
    control::event own;
    own.seq = 4;
    own.kind = "daemon_started";
    file << control::encode(own) << "\n{\"seq\":5,\"torn";
  }
  const auto daemon = run_hasup(home.path, {"events", "--unit", "hasupd"});
  CHECK(daemon.code == 0);
  CHECK(daemon.out.find("Z  hasupd ") != std::string::npos);
  CHECK(daemon.out.find("leap") == std::string::npos);
  const auto stored = run_hasup(home.path, {"events", "--unit", "leap", "-n", "1"});
  CHECK(stored.code == 0);
  CHECK(stored.out == "1970-01-01T00:00:00.000Z  leap          started           number 3\n");

  deployment d;
  for (std::uint64_t i = 1; i <= 3; ++i) d.daemon.publish(i);
  auto follow = start_hasup(d.home, {"events", "-f", "-n", "1", "--json"});
  REQUIRE(follow.wait_for_output("\"seq\":3"));
  d.daemon.publish(4);
  REQUIRE(follow.wait_for_output("\"seq\":4"));
  follow.signal(SIGINT);
  const auto r = follow.finish();
  CHECK(r.code == 0);
  CHECK(r.out.find("\"seq\":2") == std::string::npos);
}

TEST_CASE("check, graph and cat read the files") {
  temporary_directory home;
  std::filesystem::create_directories(home.path + "/etc/units");
  const auto file = [&](const std::string& name, const std::string& text) {
    std::ofstream(home.path + "/etc/units/" + name) << text;
  };
  file("a.toml", "[run]\ncommand = [\"/bin/sleep\", \"1\"]\n");
  file("b.toml", "[run]\ncommand = [\"/bin/sleep\", \"1\"]\n[[requires]]\nunit = \"a\"\n");
  CHECK(run_hasup(home.path, {"check"}).code == 0);
  CHECK(run_hasup(home.path, {"check"}).out == "2 units: no problems\n");
  const auto dot = run_hasup(home.path, {"graph", "--dot"});
  CHECK(dot.code == 0);
  CHECK(dot.out.find("digraph") != std::string::npos);
  CHECK(run_hasup(home.path, {"cat", "a"}).out == "[run]\ncommand = [\"/bin/sleep\", \"1\"]\n");
  CHECK(run_hasup(home.path, {"cat", "a", "--effective"}).code == 0);
  CHECK(run_hasup(home.path, {"cat", "zzz"}).code == 4);
  CHECK(run_hasup(home.path, {"graph", "--json"}).out ==
        "{\"units\":[{\"unit\":\"a\",\"valid\":true,\"requires\":[]},{\"unit\":\"b\",\"valid\":true,\"requires\":["
        "{\"unit\":\"a\",\"condition\":\"healthy\",\"on_loss\":\"keep\",\"exists\":true}]}]}\n");
  CHECK(run_hasup(home.path, {"cat", "a", "--json"}).out == "{\"run\":{\"command\":[\"/bin/sleep\",\"1\"]}}\n");
  const auto effective = run_hasup(home.path, {"cat", "b", "--effective", "--json"});
  CHECK(effective.code == 0);
  CHECK(boost::json::parse(effective.out).at("requires").at(0).at("unit") == "a");
  file("c.toml", "[run]\ncomand = [\"/bin/sleep\", \"1\"]\n");
  const auto broken = run_hasup(home.path, {"check"});
  CHECK(broken.code == 6);
  CHECK(broken.out.find("c.toml:2:1: error: ") != std::string::npos);
  CHECK(broken.out.find("command") != std::string::npos);
  const auto json = run_hasup(home.path, {"check", "--json"});
  CHECK(json.code == 6);
  CHECK(json.out.starts_with("{\"valid\":false,"));
  CHECK(run_hasup(home.path, {"check", home.path + "/etc/units/a.toml"}).code == 0);
  CHECK(run_hasup(home.path, {"cat", "c", "--effective"}).code == 6);
  std::filesystem::create_directories(home.path + "/etc/upstreams");
  const auto upstream = home.path + "/etc/upstreams/f.toml";
  file("../upstreams/f.toml",
       "select = \"sticky\"\n[probe]\nkind = \"tcp\"\naddress = \"h:1\"\n[[endpoint]]\nhost = \"h\"\n");
  CHECK(run_hasup(home.path, {"check", upstream}).out == upstream + ": no problems\n");
  file("../upstreams/f.toml", "");
  CHECK(run_hasup(home.path, {"check", upstream}).out.find("errors, 0 warnings in " + upstream + "\n") !=
        std::string::npos);
}

TEST_CASE("check warns of programs, users and directories that this machine does not have") {
  temporary_directory home;
  std::filesystem::create_directories(home.path + "/etc/units");
  std::ofstream(home.path + "/plain") << "x";
  const auto unit = [&](const std::string& text) {
    std::ofstream(home.path + "/etc/units/a.toml") << text;
    const auto r = run_hasup(home.path, {"check"});
    CHECK(r.code == 0);
    return r.out;
  };
  const auto has = [](const std::string& text, const std::string& part) {
    INFO(text);
    CHECK(text.find(part) != std::string::npos);
  };
  const auto gone = unit(
      "[run]\ncommand = [\"/no/such/node\"]\nuser = \"no-such-user\"\ndirectory = \"/no/where\"\npre_start = "
      "[\"no-such-tool\"]\ninstances = 2\n");
  has(gone, "a.toml:2:11: warning: there is no /no/such/node on this machine");
  has(gone, "a.toml:3:8: warning: on this machine there is no user \"no-such-user\"");
  has(gone, "a.toml:4:13: warning: there is no directory /no/where on this machine");
  has(gone, "a.toml:5:13: warning: there is no \"no-such-tool\" in the PATH of the unit on this machine (/usr/");
  has(gone, "0 errors, 4 warnings in 1 unit\n");
  has(unit("[run]\ncommand = [\"" + home.path + "/plain\"]\n"), "/plain is not executable on this machine");
  has(unit("[run]\ncommand = [\"sh\"]\nenv = { PATH = \"/no:/where\" }\n"), "(/no:/where)");
  has(unit("[run]\ncommand = [\"sh\"]\nuser = \"65432\"\ndirectory = \"/run/x\"\ncreate_directories = \"/run/x\"\n"),
      "1 unit: no problems");
}

TEST_CASE("probe asks a preset and a unit, and explains") {
  temporary_directory home;
  std::filesystem::create_directories(home.path + "/etc/units");
  std::ofstream(home.path + "/etc/units/a.toml")
      << "[run]\ncommand = [\"/bin/sleep\", \"1\"]\n[readiness]\nkind = \"exec\"\ncommand = [\"/bin/false\"]\n";
  const auto refused = run_hasup(home.path, {"probe", "antelope", "url=http://127.0.0.1:1"});
  CHECK(refused.code == 1);
  CHECK(refused.out.find("connection refused") != std::string::npos);
  const auto unit = run_hasup(home.path, {"probe", "a", "--json"});
  CHECK(unit.code == 1);
  CHECK(unit.out.find("\"kind\":\"exec\"") != std::string::npos);
  const auto nothing = run_hasup(home.path, {"probe", "nothing"});
  CHECK(nothing.code == 4);
  CHECK(nothing.err.find("no unit \"nothing\"; no preset \"nothing\"") != std::string::npos);
  CHECK(nothing.err.find(home.path + "/etc/recipes/probes") != std::string::npos);
  CHECK(run_hasup(home.path, {"probe", "antelope", "url"}).code == 2);
  for (const auto* word : {"http://127.0.0.1:1", "127.0.0.1:1", "http://127.0.0.1:1/?a=b"}) {
    const auto bare = run_hasup(home.path, {"probe", "antelope", word});
    INFO(bare.out << bare.err);
    CHECK(bare.code == 1);
    CHECK(bare.out.find("http GET http://127.0.0.1:1/") != std::string::npos);
  }
  CHECK(run_hasup(home.path, {"probe", "evm-websocket", "127.0.0.1:1"}).out.find("websocket ws://127.0.0.1:1") !=
        std::string::npos);
  CHECK(run_hasup(home.path, {"probe", "antelope", "unix:/no/such.sock:"}).code == 1);
  const auto says = [&](std::vector<std::string> words, const std::string& text) {
    words.insert(words.begin(), "probe");
    const auto r = run_hasup(home.path, words);
    INFO(r.err);
    CHECK(r.code == 2);
    CHECK(r.err.find(text) != std::string::npos);
    CHECK(r.err.find(".toml") == std::string::npos);
  };
  says({"antelope", "url=127.0.0.1:1"}, "url=127.0.0.1:1 needs http://: write url=http://127.0.0.1:1");
  says({"antelope", "http://h:99999"}, "url=http://h:99999: the URL's port is \"99999");
  says({"antelope", "http://h:1", "url=http://h:1"}, "\"url\" is given twice");
  says({"antelope", "urll=http://h:1"}, "has no parameter \"urll\"; it has: chain_id, url");
  says({"http://h:1"}, "`hasup probe PRESET http://h:1`");
}

TEST_CASE("version, help and usage need no daemon") {
  temporary_directory home;
  CHECK(run_hasup(home.path, {"version"}).out.starts_with("hasup "));
  CHECK(run_hasup(home.path, {"version", "--json"}).out.starts_with("{\"version\":\""));
  CHECK(run_hasup(home.path, {"help"}).code == 0);
  const auto presets = run_hasup(home.path, {"help", "preset"}).out;
  CHECK(presets.find("\n  antelope ") != std::string::npos);
  CHECK(presets.find("\nRecipes") == std::string::npos);
  CHECK(run_hasup(home.path, {"help", "preset", "antelope"}).out.find("get_info") != std::string::npos);
  CHECK(run_hasup(home.path, {"help", "recipes"}).out.find("\n  nodeos ") != std::string::npos);
  const auto usage = run_hasup(home.path, {"stop"});
  CHECK(usage.code == 2);
  CHECK(usage.err.starts_with("hasup: "));
  CHECK(run_hasup(home.path, {"completion", "bash"}).out.find("complete -F _hasup hasup") != std::string::npos);
}
