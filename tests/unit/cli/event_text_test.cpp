// What is made of events and of the answer of apply: columns, the history of recoveries, tenses.
#include <boost/json.hpp>
#include <catch2/catch.hpp>

#include "base/time_text.hpp"
#include "cli/apply_text.hpp"
#include "cli/event_text.hpp"
#include "cli/recovery_history.hpp"

using namespace hasup;
using namespace hasup::cli;

namespace {

const base::wall_time begin = *base::parse_time("2026-11-21T01:02:03Z");

control::event happened(int second, const char* unit, const char* kind, const char* state, const char* reason) {
  control::event e;
  e.at = begin + std::chrono::seconds(second);
  e.unit = unit;
  e.instance = 0;
  e.kind = kind;
  e.state = state;
  e.reason = reason;
  return e;
}

std::vector<control::event> recovered_then_failed() {
  return {happened(0, "leap", "recovery_swapped", "recovering", "x.bin is in place"),  // its beginning is not there
          happened(1, "leap", "became_healthy", "running", "recovered"),
          happened(10, "leap", "exited", "", "exited with code 2"),
          happened(10, "leap", "recovering", "recovering", "exited with code 2: dirty database; recovering"),
          happened(10, "leap", "recovery_began", "recovering", "exited with code 2: dirty database; recovering"),
          happened(11, "leap", "recovery_dropped", "recovering", "b.bin is not used: damaged"),
          happened(11, "other", "became_healthy", "running", "readiness passed"),
          happened(12, "leap", "recovery_swapped", "recovering", "a.bin is in place, the old state is put aside"),
          happened(15, "leap", "running", "running", "recovered from a.bin (plan \"state only\")"),
          happened(15, "leap", "became_healthy", "running", "recovered from a.bin (plan \"state only\")"),
          happened(100, "leap", "recovering", "recovering", "asked for by hand"),
          happened(101, "leap", "recovery_swapped", "recovering", "a.bin is in place"),
          happened(102, "leap", "recovery_rolled_back", "recovering", "the old state is back as it was"),
          happened(190, "leap", "failed", "failed", "no snapshot fits"),
          happened(200, "leap", "recovering", "recovering", "asked for by hand")};
}

}  // namespace

TEST_CASE("events stand in columns; the first of several instances has its number") {
  event_layout l;
  const auto one = happened(0, "leap", "started", "starting", "pid 1");
  const auto two = happened(0, "a-very-long-name", "recovery_first_start", "recovering", "first");
  CHECK(render_event(one, {}, l) == "2026-11-21T01:02:03.000Z  leap          started           pid 1\n");
  l.several.insert("a-very-long-name");
  l.fit(one);
  l.fit(two);
  CHECK(render_event(one, {}, l) == "2026-11-21T01:02:03.000Z  leap                started               pid 1\n");
  CHECK(render_event(two, {}, l) == "2026-11-21T01:02:03.000Z  a-very-long-name@0  recovery_first_start  first\n");
}

TEST_CASE("a history has one line a recovery: when, how it ended, how long, which snapshot, why") {
  CHECK(render_history(past_recoveries(recovered_then_failed()), {}) ==
        "2026-11-21T01:02:13Z  recovered in 5s from a.bin, 1 refused; why: exited with code 2: dirty database\n"
        "2026-11-21T01:03:43Z  failed after 1m30s: no snapshot fits; why: asked for by hand\n"
        "2026-11-21T01:05:23Z  goes on: asked for by hand; why: asked for by hand\n");
  CHECK(past_recoveries({}).empty());
}

TEST_CASE("a history as JSON") {
  const auto all = boost::json::parse(history_json(past_recoveries(recovered_then_failed()))).as_array();
  REQUIRE(all.size() == 3);
  CHECK(all[0].at("recovered").as_bool());
  CHECK(all[0].at("snapshot").as_string() == "a.bin");
  CHECK(all[0].at("refused").to_number<int>() == 1);
  CHECK(all[0].at("ended").as_string() == "2026-11-21T01:02:18.000Z");
  CHECK_FALSE(all[1].at("recovered").as_bool());
  CHECK(all[1].at("snapshot").is_null());
  CHECK(all[2].at("ended").is_null());
}

TEST_CASE("apply tells what it would do, or what it does") {
  const std::string said =
      "web: changed, will be restarted\napp: changed, applies without a restart\n"
      "leap: changed; applies after its recovery, which is not altered\n";
  CHECK(in_tense_of_apply(said, true) ==
        "web: changed, would be restarted\napp: changed, would apply without a restart\n"
        "leap: changed; would apply after its recovery, which is not altered\n");
  CHECK(in_tense_of_apply(said, false) ==
        "web: changed, is being restarted\napp: changed, applied without a restart\n"
        "leap: changed; applies after its recovery, which is not altered\n");
}
