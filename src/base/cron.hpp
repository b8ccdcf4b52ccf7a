// Cron expressions: five fields (minute hour day month weekday) and the names @hourly, @daily, @midnight, @weekly,
// @monthly, @yearly, @annually. As in cron(8): `*`, lists, ranges, steps, names of months and weekdays, 7 = Sunday;
// when day and weekday are both restricted, either is enough.
//
// Pure: works on the wall clock of no particular place. Which instant a wall clock time is, is for those who know the
// time zone.
#pragma once

#include <bitset>
#include <chrono>
#include <optional>
#include <string_view>

#include "base/result.hpp"

namespace hasup::base {

// Minutes on a wall clock since 1970-01-01 00:00 of that clock.
using wall_minutes = std::chrono::time_point<std::chrono::local_t, std::chrono::minutes>;

struct cron {
  std::bitset<60> minutes;
  std::bitset<24> hours;
  std::bitset<32> days;     // 1 … 31
  std::bitset<13> months;   // 1 … 12
  std::bitset<7> weekdays;  // 0 = Sunday
  bool any_day = true;      // the field begins with *
  bool any_weekday = true;

  friend bool operator==(const cron&, const cron&) = default;
};

// The error names the field and what it may hold.
result<cron> parse_cron(std::string_view text);

// The first time after `t` that fits; none within the next eight years (30 February) = nullopt.
std::optional<wall_minutes> next_after(const cron& c, wall_minutes t);

}  // namespace hasup::base
