// Durations as people write them.
#include "base/duration.hpp"

#include <catch2/catch.hpp>

using namespace hasup::base;
using namespace std::chrono_literals;

TEST_CASE("a duration is one or more numbers with falling units") {
  const std::vector<std::pair<std::string, duration>> good{
      {"250ms", 250ms}, {"10s", 10s}, {"5m", 5min},     {"1h30m", 90min}, {"7d", 168h},
      {"2w", 336h},     {"0s", 0ms},  {"1.5s", 1500ms}, {"0.5h", 30min},  {"1d2h3m4s5ms", 93'784'005ms},
  };
  for (const auto& [text, expected] : good) {
    CAPTURE(text);
    REQUIRE(parse_duration(text).has_value());
    CHECK(*parse_duration(text) == expected);
  }
}

TEST_CASE("what is no duration is refused with an example") {
  for (const std::string text : {"", "10", "s", "-1s", "1s1h", "10 s", "1x", "1h1h", "inf", "nan", "1e9s", "1e309d",
                                 "999999w", "10S", "5 minutes", "1m ", " 1m"}) {
    CAPTURE(text);
    const auto d = parse_duration(text);
    REQUIRE(d.has_error());
    CHECK(d.error().message.find("\"" + text + "\"") != std::string::npos);
    CHECK(d.error().message.find("\"1h30m\"") != std::string::npos);
  }
}

TEST_CASE("a formatted duration reads back as the same") {
  for (const long long ms : {0LL, 1LL, 999LL, 1000LL, 1500LL, 59'999LL, 60'000LL, 90'000LL, 3'600'000LL, 86'400'000LL,
                             1'234'567'890LL, 604'800'000LL}) {
    const auto text = format_duration(duration{ms});
    CAPTURE(text);
    REQUIRE(parse_duration(text).has_value());
    CHECK(parse_duration(text)->count() == ms);
  }
  CHECK(format_duration(90s) == "1m30s");
  CHECK(format_duration(1500ms) == "1s500ms");
  CHECK(format_duration(0ms) == "0s");
  CHECK(format_duration(-5s) == "0s");
}

TEST_CASE("in a sentence a duration is rounded to what a person wants to know") {
  CHECK(format_duration_rounded(-5s) == "0s");
  CHECK(format_duration_rounded(0ms) == "0s");
  CHECK(format_duration_rounded(83ms) == "83ms");
  CHECK(format_duration_rounded(949ms) == "949ms");
  CHECK(format_duration_rounded(950ms) == "1s");
  CHECK(format_duration_rounded(1083ms) == "1.1s");
  CHECK(format_duration_rounded(2s) == "2s");
  CHECK(format_duration_rounded(9949ms) == "9.9s");
  CHECK(format_duration_rounded(9950ms) == "10s");
  CHECK(format_duration_rounded(10'499ms) == "10s");
  CHECK(format_duration_rounded(59'600ms) == "1m");
  CHECK(format_duration_rounded(3min + 5s + 20ms) == "3m5s");
}

TEST_CASE("tables show at most two units") {
  CHECK(format_duration_short(0ms) == "0s");
  CHECK(format_duration_short(999ms) == "0s");
  CHECK(format_duration_short(12min + 5s) == "12m5s");
  CHECK(format_duration_short(76h + 12min) == "3d4h");
  CHECK(format_duration_short(24h + 5s) == "1d");
}
