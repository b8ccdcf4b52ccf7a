// When is a unit due? Across changes of the clock, in several time zones.
#include "daemon/schedule.hpp"

#include <catch2/catch.hpp>

#include "base/time_text.hpp"

using namespace hasup;

namespace {

base::wall_time utc(const std::string& text) {
  const auto t = base::parse_time(text);
  REQUIRE(t.has_value());
  return *t;
}

std::string due(const std::string& cron, const std::string& zone, const std::string& after) {
  const auto at = daemon::next_due({cron, zone, base::duration{0}}, utc(after));
  REQUIRE(at.has_value());
  return *at ? base::format_time(**at) : "never";
}

}  // namespace

TEST_CASE("a time of day is one of the zone", "[schedule]") {
  CHECK(due("0 4 * * *", "UTC", "2026-11-21T03:00:00Z") == "2026-11-21T04:00:00Z");
  CHECK(due("0 4 * * *", "Europe/Berlin", "2026-11-21T02:00:00Z") == "2026-11-21T03:00:00Z");
  CHECK(due("0 4 * * *", "Asia/Tokyo", "2026-11-21T02:00:00Z") == "2026-11-21T19:00:00Z");
  CHECK(due("0 4 * * *", "UTC", "2026-11-21T04:00:00Z") == "2026-11-22T04:00:00Z");
  CHECK(due("0 0 30 2 *", "UTC", "2026-11-21T04:00:00Z") == "never");
}

TEST_CASE("what the clock skips in spring is due at the change, once", "[schedule]") {
  // Berlin, 29 March 2026: 02:00 becomes 03:00 (01:00 UTC).
  CHECK(due("30 2 * * *", "Europe/Berlin", "2026-03-28T12:00:00Z") == "2026-03-29T01:00:00Z");
  CHECK(due("30 2 * * *", "Europe/Berlin", "2026-03-29T01:00:00Z") == "2026-03-30T00:30:00Z");
}

TEST_CASE("what the clock shows twice in autumn is due the first time only", "[schedule]") {
  // Berlin, 25 October 2026: 03:00 becomes 02:00 (01:00 UTC); 02:30 is 00:30 and 01:30 UTC.
  CHECK(due("30 2 * * *", "Europe/Berlin", "2026-10-24T12:00:00Z") == "2026-10-25T00:30:00Z");
  CHECK(due("30 2 * * *", "Europe/Berlin", "2026-10-25T00:30:00Z") == "2026-10-26T01:30:00Z");
  CHECK(due("30 2 * * *", "Europe/Berlin", "2026-10-25T01:10:00Z") == "2026-10-26T01:30:00Z");
}

TEST_CASE("a year of nightly runs in a zone with summer time is 365 runs", "[schedule]") {
  auto t = utc("2026-01-01T12:00:00Z");
  const auto end = utc("2027-01-01T12:00:00Z");
  int runs = 0;
  for (;; ++runs) {
    const auto next = daemon::next_due({"30 2 * * *", "America/New_York", base::duration{0}}, t);
    REQUIRE(next.has_value());
    REQUIRE(next->has_value());
    REQUIRE(**next > t);
    if (**next > end) break;
    t = **next;
  }
  CHECK(runs == 365);
}

TEST_CASE("a time zone that is not there is named", "[schedule]") {
  const auto at = daemon::next_due({"@daily", "Europe/Atlantis", base::duration{0}}, utc("2026-01-01T00:00:00Z"));
  REQUIRE_FALSE(at.has_value());
  CHECK_THAT(at.error().message, Catch::Contains("Europe/Atlantis"));
  CHECK(daemon::next_due({"@daily", "local", base::duration{0}}, utc("2026-01-01T00:00:00Z")).has_value());
}

TEST_CASE("splay spreads units and hosts over its length, and stays the same for each", "[schedule]") {
  const model::restart_schedule s{"0 4 * * *", "UTC", base::duration{1'800'000}};
  CHECK(daemon::splay_of(s, "leap", "vm1") == daemon::splay_of(s, "leap", "vm1"));
  int quarters[4] = {};
  for (int host = 0; host < 100; ++host)
    for (const char* unit : {"leap", "evm-node", "miner", "proxy"}) {
      const auto d = daemon::splay_of(s, unit, "vm" + std::to_string(host));
      REQUIRE(d >= base::duration{0});
      REQUIRE(d <= s.splay);
      ++quarters[std::min<std::int64_t>(d.count() / 450'000, 3)];
    }
  for (const int n : quarters) CHECK(n > 60);  // of 400
  CHECK(daemon::splay_of({"0 4 * * *", "UTC", base::duration{0}}, "leap", "vm1") == base::duration{0});
}

TEST_CASE("with splay a day has one due time, whenever hasupd comes up", "[schedule]") {
  const model::restart_schedule s{"0 4 * * *", "UTC", base::duration{1'800'000}};
  const auto due_after = [&](const std::string& after) {
    const auto at = daemon::next_due(s, utc(after), base::duration{1'200'000});
    REQUIRE(at.has_value());
    return base::format_time(at->value());
  };
  CHECK(due_after("2026-11-21T03:00:00Z") == "2026-11-21T04:20:00Z");
  CHECK(due_after("2026-11-21T04:05:00Z") == "2026-11-21T04:20:00Z");  // not forgotten
  CHECK(due_after("2026-11-21T04:20:00Z") == "2026-11-22T04:20:00Z");  // not repeated
  CHECK(due_after("2026-11-21T04:25:00Z") == "2026-11-22T04:20:00Z");
}
