// Cron expressions, held against what cron(8) says of them.
#include "base/cron.hpp"

#include <catch2/catch.hpp>
#include <cstdio>

using namespace hasup;
using base::wall_minutes;

namespace {

wall_minutes at(int y, unsigned m, unsigned d, int hour = 0, int minute = 0) {
  using namespace std::chrono;
  return wall_minutes(local_days(year(y) / month(m) / day(d)) + hours(hour) + minutes(minute));
}

std::string text(std::optional<wall_minutes> t) {
  if (!t) return "never";
  using namespace std::chrono;
  const auto day = floor<days>(*t);
  const year_month_day date{local_days(day.time_since_epoch())};
  const auto in_day = *t - day;
  char out[64];
  std::snprintf(out, sizeof out, "%d-%02u-%02u %02d:%02d", static_cast<int>(date.year()),
                static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()),
                static_cast<int>(in_day / hours(1)), static_cast<int>((in_day % hours(1)).count()));
  return out;
}

std::string next(std::string_view expression, wall_minutes t) {
  const auto c = base::parse_cron(expression);
  REQUIRE(c.has_value());
  return text(base::next_after(*c, t));
}

std::string error(std::string_view expression) {
  const auto c = base::parse_cron(expression);
  REQUIRE_FALSE(c.has_value());
  return c.error().message;
}

}  // namespace

TEST_CASE("the next time is strictly later, in the same hour, day, month or year") {
  CHECK(next("0 4 * * *", at(2026, 11, 21, 3, 59)) == "2026-11-21 04:00");
  CHECK(next("0 4 * * *", at(2026, 11, 21, 4, 0)) == "2026-11-22 04:00");
  CHECK(next("*/15 * * * *", at(2026, 11, 21, 10, 46)) == "2026-11-21 11:00");
  CHECK(next("5,35 1-3 * * *", at(2026, 11, 21, 3, 36)) == "2026-11-22 01:05");
  CHECK(next("0 0 1 1 *", at(2026, 1, 1)) == "2027-01-01 00:00");
  CHECK(next("10-20/5 0 * * *", at(2026, 11, 21, 0, 15)) == "2026-11-21 00:20");
  CHECK(next("5/20 * * * *", at(2026, 11, 21, 0, 5)) == "2026-11-21 00:25");
  CHECK(next("59 23 31 12 *", at(2026, 12, 31, 23, 58)) == "2026-12-31 23:59");
}

TEST_CASE("day and weekday: both must fit, unless both are restricted, then either") {
  CHECK(next("0 0 * * mon", at(2026, 11, 21)) == "2026-11-23 00:00");  // 21 November 2026 is a Saturday
  CHECK(next("0 0 13 * *", at(2026, 11, 21)) == "2026-12-13 00:00");
  CHECK(next("0 0 13 * fri", at(2026, 11, 21)) == "2026-11-27 00:00");
  CHECK(next("0 0 13 * fri", at(2026, 12, 11)) == "2026-12-13 00:00");
  CHECK(next("0 0 * * 7", at(2026, 11, 21)) == "2026-11-22 00:00");
  CHECK(next("0 0 * * 5-7", at(2026, 11, 22)) == "2026-11-27 00:00");
  CHECK(next("0 0 */10 * mon", at(2026, 11, 21)) == "2026-12-21 00:00");  // a star with a step counts as a star
}

TEST_CASE("months, leap years and what never comes") {
  CHECK(next("0 0 29 feb *", at(2026, 11, 21)) == "2028-02-29 00:00");
  CHECK(next("0 0 31 * *", at(2026, 11, 30)) == "2026-12-31 00:00");
  CHECK(next("0 0 1 JAN,jul *", at(2026, 2, 1)) == "2026-07-01 00:00");
  CHECK(next("0 0 30 2 *", at(2026, 11, 21)) == "never");
}

TEST_CASE("names for what is common") {
  CHECK(next("@hourly", at(2026, 11, 21, 3, 5)) == "2026-11-21 04:00");
  CHECK(next("@daily", at(2026, 11, 21)) == "2026-11-22 00:00");
  CHECK(next("@midnight", at(2026, 11, 21)) == "2026-11-22 00:00");
  CHECK(next("@weekly", at(2026, 11, 21)) == "2026-11-22 00:00");
  CHECK(next("@monthly", at(2026, 11, 21)) == "2026-12-01 00:00");
  CHECK(next("@yearly", at(2026, 11, 21)) == "2027-01-01 00:00");
  CHECK(base::parse_cron("@annually").value() == base::parse_cron("@yearly").value());
}

TEST_CASE("what cannot be understood is named") {
  using Catch::Contains;
  CHECK_THAT(error("0 4 * *"), Contains("five fields"));
  CHECK_THAT(error("@often"), Contains("@daily"));
  CHECK_THAT(error(""), Contains("five fields"));
  CHECK_THAT(error("60 * * * *"), Contains("\"60\" is no minute (0 to 59)"));
  CHECK_THAT(error("0 24 * * *"), Contains("hour"));
  CHECK_THAT(error("0 0 0 * *"), Contains("day (1 to 31)"));
  CHECK_THAT(error("0 0 1 13 *"), Contains("month"));
  CHECK_THAT(error("0 0 1 * foo"), Contains("a name such as mon"));
  for (const auto* broken : {"5-1 * * * *", "*/0 * * * *", "1, * * * *", "a * * * *", "1--2 * * * *", "-1 * * * *",
                             "1/ * * * *", "* * * * 8", "** * * * *"})
    CHECK_FALSE(base::parse_cron(broken).has_value());
}
