// The codecs of the control API: what is written is read back, and the JSON is the documented one.
#include <catch2/catch.hpp>

#include "base/time_text.hpp"
#include "control/command.hpp"
#include "control/why.hpp"
#include "show_result.hpp"

using namespace hasup;
using namespace hasup::control;

namespace {

base::wall_time at(const char* text) {
  return *base::parse_time(text);
}

instance_status full_instance() {
  instance_status u;
  u.unit = "leap";
  u.instance = 2;
  u.instances = 4;
  u.state = model::unit_state::recovering;
  u.desired = model::desired::up;
  u.health = model::health::unhealthy;
  u.reason = "exited with code 2: \"dirty\"\n\x01";
  u.since = at("2026-11-21T01:02:03.250Z");
  u.pid = 4711;
  u.uptime_s = 512.5;
  u.restarts = 3;
  u.recoveries = 1;
  u.waiting_for = {"a (healthy)", "b (started)"};
  u.next_attempt_at = at("2026-11-21T01:02:09Z");
  u.scheduled_at = at("2026-11-22T04:00:00Z");
  u.drain_ends_at = at("2026-11-21T01:02:09Z");
  u.kill_at = at("2026-11-21T01:12:09Z");
  u.exit = last_exit{2, std::nullopt, "dirty database", at("2026-11-21T00:54:00Z")};
  u.head = model::head{387721720, at("2026-11-21T01:02:02.5Z"), "340282366920938463463374607431768211456", {}, 25};
  u.upstream = "vm11";
  u.role = "active";
  u.maintenance = u.config_changed = u.killed = true;
  u.by_hand = {{"instances", "4", "2", "hasup scale", "hasup scale leap --reset"},
               {"enabled", "false", "", "hasup disable", "hasup enable leap --reset"}};
  u.logs_dropped = 12;
  u.cpu_percent = 41.5;
  u.memory_bytes = 8589934592;
  u.recovery.emplace();
  u.recovery->phase = "fetch";
  u.recovery->plan = "state only";
  u.recovery->snapshot = "s.bin.zst";
  u.recovery->source = "https://b/";
  u.recovery->bytes_done = 1;
  u.recovery->bytes_total = 2;
  u.recovery->bytes_per_s = 3;
  u.recovery->eta_s = 4;
  u.recovery->began_at = u.recovery->phase_since = u.since;
  u.recovery->files_done = 5;
  u.recovery->files_total = 6;
  u.recovery->head = 7;
  u.recovery->confirms_at = u.recovery->gives_up_at = u.since;
  return u;
}

}  // namespace

TEST_CASE("an instance comes back as it was written") {
  const auto u = full_instance();
  const auto again = decode_instance(encode(u));
  REQUIRE(again);
  CHECK(*again == u);
  instance_status empty;
  empty.unit = "x";
  const auto empty_again = decode_instance(encode(empty));
  REQUIRE(empty_again);
  CHECK(*empty_again == empty);
}

TEST_CASE("the status has the documented members in the documented order") {
  host_status s;
  s.host = "vm11";
  s.version = "0.1.0";
  s.pid = 412;
  s.uptime_s = 86400.5;
  instance_status u;
  u.unit = "leap";
  u.state = model::unit_state::running;
  u.desired = model::desired::up;
  u.health = model::health::healthy;
  u.reason = "readiness passed";
  u.exit = last_exit{{}, {}, "lost", {}};
  s.units.push_back(u);
  CHECK(
      encode(s) ==
      R"({"host":"vm11","version":"0.1.0","pid":412,"uptime_s":86400.5,"diagnostics":[],"units":[{"unit":"leap",)"
      R"("instance":0,"instances":1,"state":"running","desired":"up","health":"healthy","reason":"readiness passed",)"
      R"("since":null,"health_since":null,"pid":null,"uptime_s":null,"restarts":0,"recoveries":0,"waiting_for":[],"next_attempt_at":null,)"
      R"("scheduled_at":null,"drain_ends_at":null,"kill_at":null,)"
      R"("last_exit":{"code":null,"signal":null,"class":"lost","at":null},"head":null,"upstream":null,"role":null,)"
      R"("maintenance":false,"by_hand":[],"config_changed":false,"killed":false,"logs_dropped":0,"cpu_percent":null,)"
      R"("memory_bytes":null,"recovery":null,"prefetch":null}]})");
}

TEST_CASE("a whole status with diagnostics comes back as it was written") {
  host_status s;
  s.host = "h";
  s.diagnostics.push_back({base::severity::warning, "units/a.toml", 3, 4, 5, "message", "source = 1"});
  s.units = {full_instance(), full_instance()};
  const auto again = decode_status(encode(s));
  REQUIRE(again);
  CHECK(*again == s);
}

TEST_CASE("an unknown member is ignored, a wrong type and an unknown state are errors that name the member") {
  const std::string good = encode(full_instance());
  auto more = good;
  more.insert(1, R"("of_tomorrow":{"a":[1]},)");
  CHECK(decode_instance(more).value() == full_instance());

  const auto wrong_type = decode_instance(R"({"unit":5,"state":"running","desired":"up","health":"healthy"})");
  REQUIRE_FALSE(wrong_type);
  CHECK(wrong_type.error().message.find("\"unit\" must be a string") != std::string::npos);
  const auto wrong_state = decode_instance(R"({"unit":"a","state":"dancing","desired":"up","health":"healthy"})");
  REQUIRE_FALSE(wrong_state);
  CHECK(wrong_state.error().message.find("\"state\" has the unknown value \"dancing\"") != std::string::npos);
  CHECK_FALSE(decode_status("[]"));
  CHECK_FALSE(decode_status("{"));
  CHECK_FALSE(decode_status(R"({"units":{}})"));
  CHECK_FALSE(
      decode_instance(R"({"unit":"a","state":"running","desired":"up","health":"healthy","pid":99999999999})"));
}

TEST_CASE("an event comes back as it was written, on one line") {
  event e;
  e.seq = 18446744073709551615ULL;
  e.at = at("2026-11-21T01:02:03.456Z");
  e.unit = "miner";
  e.instance = 3;
  e.kind = "exited";
  e.state = "backoff";
  e.reason = "two\nlines and a \"quote\"";
  e.detail = {{"code", "2"}, {"class", "dirty database"}};
  const auto line = encode(e);
  CHECK(line.find('\n') == std::string::npos);
  const auto again = decode_event(line);
  REQUIRE(again);
  CHECK(*again == e);
  CHECK_FALSE(decode_event(line.substr(0, line.size() / 2)));
  CHECK_FALSE(decode_event("{}"));
}

TEST_CASE("a filter names a unit or one of its instances") {
  event e;
  e.unit = "miner";
  e.instance = 3;
  CHECK(concerns(e, ""));
  CHECK(concerns(e, "miner"));
  CHECK(concerns(e, "miner@3"));
  CHECK_FALSE(concerns(e, "miner@2"));
  CHECK_FALSE(concerns(e, "mine"));
  CHECK_FALSE(concerns(e, "../miner"));
  CHECK_FALSE(concerns(e, "hasupd"));
  e.unit.clear();
  CHECK(concerns(e, "hasupd"));  // as the column has it
}

TEST_CASE("commands and their answers come back as they were written") {
  command c{"recover", {"leap", "@all"}, true, {{"plan", "full set"}, {"yes", "true"}}};
  const auto again = decode_command(encode(c));
  REQUIRE(again);
  CHECK(again->verb == c.verb);
  CHECK(again->targets == c.targets);
  CHECK(again->all);
  CHECK(again->options == c.options);

  command_reply r{exit_code::invalid_configuration, "no", {"leap@0", "evm@1"}, R"({"a":[1,2]})"};
  const auto reply = decode_reply(encode(r));
  REQUIRE(reply);
  CHECK(reply->code == r.code);
  CHECK(reply->message == "no");
  CHECK(reply->affected == r.affected);
  CHECK(reply->body == r.body);
  CHECK_FALSE(decode_reply(R"({"code":99})"));
  CHECK_FALSE(decode_reply(R"({"message":"x"})"));
}

TEST_CASE("options may be strings, numbers and booleans; false is not set") {
  const auto o = decode_options(R"({"options":{"a":"x","b":true,"c":false,"d":5}})");
  REQUIRE(o);
  CHECK(*o == std::map<std::string, std::string>{{"a", "x"}, {"b", "true"}, {"d", "5"}});
  CHECK(decode_options("")->empty());
  CHECK_FALSE(decode_options(R"({"options":{"a":[1]}})"));
  CHECK_FALSE(decode_options(R"({"options":[]})"));
  CHECK_FALSE(decode_command(R"({"targets":["a"]})"));
  CHECK(decode_error(encode_error("bad \"thing\"")) == "bad \"thing\"");
}

TEST_CASE("a story comes back as it was written") {
  why_report w;
  instance_story s;
  s.status = full_instance();
  s.evidence = {"database dirty flag set"};
  s.grounds = "3s after its start";
  s.advice = "restore";
  s.tried = {"one", "two"};
  s.next = "starts again";
  s.actions = {"hasup recover leap"};
  event e;
  e.seq = 1;
  e.at = at("2026-11-21T01:02:03.456Z");
  e.kind = "started";
  s.events = {e};
  w.instances = {s};
  const auto again = decode_why(encode(w));
  REQUIRE(again);
  CHECK(*again == w);
}

TEST_CASE("what stands still until a person does something is an alert, and what goes well is none") {
  event e;
  for (const auto* kind :
       {"failed", "asking", "recovery_asks", "recovery_waiting", "recovery_stands", "journal_failed", "listen_failed",
        "journal_damaged", "disk_silent", "disk_low", "killed", "shim_lost", "head_stuck"}) {
    e.kind = kind;
    CAPTURE(kind);
    CHECK(is_alert(e));
  }
  for (const auto* kind :
       {"", "started", "became_healthy", "recovering", "recovery_progress", "recovery_confirmed"}) {
    e.kind = kind;
    CAPTURE(kind);
    CHECK_FALSE(is_alert(e));
  }
}
