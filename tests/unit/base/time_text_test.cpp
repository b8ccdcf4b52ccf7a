// RFC 3339 in UTC.
#include "base/time_text.hpp"

#include <catch2/catch.hpp>

using namespace hasup::base;
using namespace std::chrono_literals;

TEST_CASE("a formatted time reads back as the same") {
  for (const long long s : {0LL, 1'700'000'000LL, 951'782'400LL /* 2000-02-29 */, 4'102'444'799LL}) {
    const wall_time t{std::chrono::seconds{s}};
    CHECK(*parse_time(format_time(t)) == t);
    CHECK(*parse_time(format_time(t + 500ms, true)) == t + 500ms);
  }
  CHECK(format_time(wall_time{1'700'000'000s}) == "2023-11-14T22:13:20Z");
  CHECK(format_time(wall_time{1'700'000'000s} + 7ms, true) == "2023-11-14T22:13:20.007Z");
}

TEST_CASE("zones, fractions and the zoneless form of nodeos are read") {
  const wall_time t{1'700'000'000s};
  CHECK(*parse_time("2023-11-14T22:13:20") == t);
  CHECK(*parse_time("2023-11-14 22:13:20Z") == t);
  CHECK(*parse_time("2023-11-15T00:13:20+02:00") == t);
  CHECK(*parse_time("2023-11-14T18:43:20-0330") == t);
  CHECK(*parse_time("2023-11-14T22:13:20.5") == t + 500ms);
  CHECK(*parse_time("2023-11-14T22:13:20.123456789Z") - t == 123456789ns);
}

TEST_CASE("what is no time is refused") {
  for (const std::string text :
       {"", "now", "2023-11-14", "2023-13-01T00:00:00Z", "2023-02-29T00:00:00Z", "2023-11-14T24:00:00Z",
        "2023-11-14T22:60:00Z", "2023-11-14T22:13:20.", "2023-11-14T22:13:20x", "2023-11-14T22:13:20+2",
        "23-11-14T22:13:20Z", "2023-11-14T22:13:20Z "}) {
    CAPTURE(text);
    CHECK(parse_time(text).has_error());
  }
}
