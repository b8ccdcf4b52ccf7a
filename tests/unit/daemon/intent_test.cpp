// What survives the daemon's death: every field comes back, an older file is readable, a damaged one is an error.
#include "daemon/intent.hpp"

#include <unistd.h>

#include <boost/asio/io_context.hpp>
#include <filesystem>
#include <fstream>

#include "daemon/disk_thread.hpp"

#include <catch2/catch.hpp>

#include "show_result.hpp"

using namespace hasup;
using daemon::intent;

namespace {

base::wall_time at(long seconds) {
  return base::wall_time(std::chrono::seconds(seconds));
}

intent everything() {
  daemon::instance_intent i;
  i.desired = model::desired::up;
  i.reason = "exited with code 2: \"dirty\"\n\tdatabase";
  i.starts = {at(1'700'000'000), at(1'700'000'060)};
  i.backoff_step = 3;
  i.failed_starts = 2;
  i.stuck_restarts = 4;
  i.stuck_at = 387'721'720;
  i.restarts = 17;
  i.recoveries = 4;
  i.counted = at(1'700'000'050) + std::chrono::milliseconds(7);
  i.killed = i.failed = i.completed = i.ever_started = true;
  i.run = 1'234'567;
  i.fingerprint = 0xfedc'ba98'7654'3210U;  // does not fit a signed number
  i.settings = 0xfedc'ba98'7654'3211U;
  i.by_names = 0xfedc'ba98'7654'3212U;
  i.hosts = {{"leap", "10.0.0.1 10.0.0.2"}};
  i.once = {"--replay", "\xff\"x"};
  i.from_nothing = true;
  i.taken_down_by = "leap";
  i.recover_why = "dirty database";
  i.startup_passed = true;
  i.back_after_boot = true;
  i.stop.emplace();
  i.stop->then = unit::after_stop::back_off;
  i.stop->draining = i.stop->no_kill = i.stop->killed = i.stop->returns = i.stop->prepared = true;
  i.stop->delay = base::duration{2'500};
  i.stop->why = "liveness failed";
  i.backoff.emplace();
  i.backoff->until = at(1'700'000'070);
  i.backoff->was = {base::duration{9'000}, "exited with code 1"};
  i.starting = true;
  unit::last_exit e;
  e.status.code = 2;
  e.class_name = "dirty database";
  e.evidence = "database dirty flag set";
  e.advice = "restore it";
  e.grounds = "3s after its start";
  e.at = at(1'700'000'061);
  i.exit = e;
  i.swaps = {at(1'700'000'100)};
  i.bad_snapshots = {"sha256:aa", "name:snapshot-1.bin"};
  i.forgiven = true;
  i.measured.fetch = {std::uint64_t{5} << 30U, std::chrono::minutes(3), base::wall_time(std::chrono::hours(9)), true};
  i.emptied = true;
  i.data_device = 0xfd01;
  i.has_data = false;
  i.endpoints = {{"leap", "vm12"}};
  intent out;
  out.boot_id = "4d1c";
  out.upstreams["leap"] = {
      "vm12", "vm11 is unhealthy", at(1'700'000'200), {{"vm11", std::nullopt}, {"vm13", at(1'700'000'300)}}};
  out.addresses["leaps.internal"] = {{"10.0.0.1"}, {"[2001:db8::2]", true}};
  out.units["leap"] = {false, std::nullopt, true};
  out.units["miner"] = {std::nullopt, 4, false};
  out.restarts["miner"] = {{{"miner", 1}, {"miner", 2}}, 7, true, "restarted by hand"};
  out.stops[{"leap", 0}] = {true, true, "stopped by hand", false};
  out.instances["leap@0"] = i;
  out.instances["miner@3"] = {};
  return out;
}

struct directory {
  directory() {
    char name[] = "/tmp/hasup-intent-XXXXXX";
    path = ::mkdtemp(name);
  }
  ~directory() { std::filesystem::remove_all(path); }
  std::string path;
};

}  // namespace

TEST_CASE("an intent comes back as it was written", "[intent]") {
  const auto text = encode(everything());
  const auto back = daemon::decode_intent(text);
  REQUIRE(back);
  CHECK(encode(*back) == text);

  const auto& i = back->instances.at("leap@0");
  CHECK(back->boot_id == "4d1c");
  CHECK(i.desired == model::desired::up);
  CHECK(i.reason == "exited with code 2: \"dirty\"\n\tdatabase");
  CHECK(i.starts == std::deque<base::wall_time>{at(1'700'000'000), at(1'700'000'060)});
  CHECK(i.backoff_step == 3);
  CHECK(i.failed_starts == 2);
  CHECK(i.stuck_restarts == 4);
  CHECK(i.stuck_at == 387'721'720U);
  CHECK(i.restarts == 17);
  CHECK(i.recoveries == 4);
  CHECK(i.counted == at(1'700'000'050) + std::chrono::milliseconds(7));
  CHECK((i.killed && i.failed && i.completed && i.ever_started));
  CHECK(i.run == 1'234'567);
  CHECK(i.fingerprint == 0xfedc'ba98'7654'3210U);
  CHECK(i.settings == 0xfedc'ba98'7654'3211U);
  CHECK(i.by_names == 0xfedc'ba98'7654'3212U);
  CHECK(i.hosts == std::map<std::string, std::string>{{"leap", "10.0.0.1 10.0.0.2"}});
  CHECK(i.once == std::vector<std::string>{"--replay", "\xff\"x"});
  CHECK(i.taken_down_by == "leap");
  CHECK(i.recover_why == "dirty database");
  CHECK(i.startup_passed);
  CHECK(i.back_after_boot);
  REQUIRE(i.stop);
  CHECK(i.stop->then == unit::after_stop::back_off);
  CHECK((i.stop->draining && i.stop->no_kill && i.stop->killed && i.stop->returns && i.stop->prepared));
  CHECK(i.stop->delay == base::duration{2'500});
  CHECK(i.stop->why == "liveness failed");
  REQUIRE(i.exit);
  CHECK(i.exit->status.code == 2);
  CHECK_FALSE(i.exit->status.signal);
  CHECK(i.exit->class_name == "dirty database");
  CHECK(i.exit->evidence == "database dirty flag set");
  CHECK(i.exit->advice == "restore it");
  CHECK(i.exit->at == at(1'700'000'061));
  CHECK(i.swaps == std::vector<base::wall_time>{at(1'700'000'100)});
  CHECK(i.bad_snapshots == std::vector<std::string>{"sha256:aa", "name:snapshot-1.bin"});
  CHECK(i.forgiven);
  const recovery::pace fetched{std::uint64_t{5} << 30U, std::chrono::minutes(3),
                               base::wall_time(std::chrono::hours(9)), true};
  CHECK(i.measured.fetch == fetched);
  CHECK_FALSE(i.measured.unpack);

  CHECK(i.emptied);
  CHECK(i.data_device == 0xfd01);
  CHECK_FALSE(i.has_data);
  CHECK(i.endpoints == std::map<std::string, std::string>{{"leap", "vm12"}});
  CHECK(back->addresses == everything().addresses);
  const auto& leap = back->upstreams.at("leap");
  CHECK(leap.chosen == "vm12");
  CHECK(leap.reason == "vm11 is unhealthy");
  CHECK(leap.since == at(1'700'000'200));
  REQUIRE(leap.avoided.size() == 2);
  CHECK_FALSE(leap.avoided.at("vm11"));
  CHECK(leap.avoided.at("vm13") == at(1'700'000'300));

  CHECK(back->units.at("leap").enabled == false);
  CHECK(back->units.at("leap").maintenance);
  CHECK(back->units.at("miner").instances == 4U);
  CHECK_FALSE(back->units.at("miner").enabled);

  const auto& empty = back->instances.at("miner@3");
  CHECK(empty.desired == model::desired::down);
  CHECK_FALSE(empty.exit);
  CHECK_FALSE(empty.ever_started);
  CHECK_FALSE(empty.stop);
}

TEST_CASE("a file of an older hasup lacks members, and is read", "[intent]") {
  const auto back = daemon::decode_intent(R"({"version":1,"instances":{"leap@0":{"desired":"up"}}})");
  REQUIRE(back);
  CHECK(back->instances.at("leap@0").desired == model::desired::up);
  CHECK(back->instances.at("leap@0").run == 0);
  CHECK(back->instances.at("leap@0").has_data);  // nobody knows
}

TEST_CASE("of a unit that is not configured any more its data and its recoveries are worth keeping", "[intent]") {
  daemon::instance_intent i;
  i.run = 7;
  i.ever_started = true;
  CHECK(daemon::worth_keeping(i));
  i.has_data = false;
  CHECK_FALSE(daemon::worth_keeping(i));
  i.swaps = {at(1)};
  CHECK(daemon::worth_keeping(i));
  i.swaps.clear();
  i.bad_snapshots = {"sha256:aa"};
  CHECK(daemon::worth_keeping(i));
}

TEST_CASE("what is no intent is an error, never an empty one", "[intent]") {
  const auto whole = encode(everything());
  CHECK_FALSE(daemon::decode_intent(""));
  CHECK_FALSE(daemon::decode_intent("[]"));
  CHECK_FALSE(daemon::decode_intent(R"({"version":2,"instances":{}})"));
  CHECK_FALSE(daemon::decode_intent(R"({"version":1,"instances":{"leap@0":{"run":"many"}}})"));
  for (std::size_t cut = 0; cut < whole.size(); ++cut) {
    INFO("cut after " << cut);
    CHECK_FALSE(daemon::decode_intent(std::string_view(whole).substr(0, cut)));
  }
}

TEST_CASE("no file is an empty intent, a damaged one is named", "[intent]") {
  const directory d;
  boost::asio::io_context loop;
  daemon::disk_thread disk(loop);
  daemon::intent_file file(disk, d.path + "/intent.json");
  const auto none = file.read();
  REQUIRE(none);
  CHECK(none->instances.empty());

  std::ofstream(d.path + "/intent.json") << "{\"version\":1,";
  const auto damaged = file.read();
  REQUIRE_FALSE(damaged);
  CHECK(damaged.error().message == d.path + "/intent.json is damaged: it is no whole JSON text");

  for (const auto* other : {"[]", R"({"version":"one"})", R"({"version":1})", R"({"version":1,"instances":[]})",
                            R"({"version":1,"instances":{"leap@0":{"run":-1}}})"}) {
    INFO(other);
    std::ofstream(d.path + "/intent.json") << other;
    const auto read = file.read();
    REQUIRE_FALSE(read);
    CHECK(read.error().message == d.path + "/intent.json is damaged: something in it is not what hasup writes there");
  }
  std::ofstream(d.path + "/intent.json") << R"({"version":2,"instances":{}})";
  CHECK(file.read().error().message == d.path + "/intent.json is written by another version of hasup");
}

TEST_CASE("of many writes the newest is on the disk when the last one is answered", "[intent]") {
  const directory d;
  boost::asio::io_context loop;
  daemon::disk_thread disk(loop);
  daemon::intent_file file(disk, d.path + "/intent.json");
  int answered = 0;
  for (unsigned n = 1; n <= 20; ++n) {
    auto i = everything();
    i.instances["leap@0"].restarts = n;
    file.write([i] { return encode(i); },
               [&, n](const base::result<void>& written) {
                 CHECK(written);
                 ++answered;
                 const auto now = file.read();
                 REQUIRE(now);
                 CHECK(now->instances.at("leap@0").restarts >= n);  // at least as new as what was promised
               });
  }
  auto work = boost::asio::make_work_guard(loop);
  while (answered < 20) loop.run_one();
  CHECK(file.read()->instances.at("leap@0").restarts == 20);
}

TEST_CASE("a write that fails is told, and the next one is tried", "[intent]") {
  const directory d;
  boost::asio::io_context loop;
  daemon::disk_thread disk(loop);
  daemon::intent_file file(disk, d.path + "/not-there/intent.json");
  std::string told;
  file.on_error = [&](const base::error& e) { told = e.message; };
  std::optional<base::result<void>> answer;
  const auto keep = [&](const base::result<void>& written) { answer = written; };
  file.write([] { return encode(everything()); }, keep);
  auto work = boost::asio::make_work_guard(loop);
  while (!answer) loop.run_one();
  CHECK_FALSE(*answer);
  CHECK(told.find("not-there") != std::string::npos);

  std::filesystem::create_directory(d.path + "/not-there");
  answer.reset();
  file.write([] { return encode(everything()); }, keep);
  while (!answer) loop.run_one();
  CHECK(*answer);
  CHECK(file.read()->instances.size() == 2);
}
