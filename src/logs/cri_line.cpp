// Parsing of CRI lines, by hand: a log of gigabytes is searched with it.
#include "logs/cri_line.hpp"

#include <chrono>

namespace hasup::logs {
namespace {

// `count` digits at `at`, or -1.
int digits(std::string_view s, std::size_t at, std::size_t count) {
  int value = 0;
  for (std::size_t i = at; i < at + count; ++i) {
    if (i >= s.size() || s[i] < '0' || s[i] > '9') return -1;
    value = value * 10 + (s[i] - '0');
  }
  return value;
}

// YYYY-MM-DDTHH:MM:SS[.fraction]Z
std::optional<std::int64_t> parse_stamp(std::string_view s) {
  if (s.size() < 20 || s[4] != '-' || s[7] != '-' || s[10] != 'T' || s[13] != ':' || s[16] != ':' || s.back() != 'Z')
    return std::nullopt;
  const int year = digits(s, 0, 4), month = digits(s, 5, 2), day = digits(s, 8, 2);
  const int hour = digits(s, 11, 2), minute = digits(s, 14, 2), second = digits(s, 17, 2);
  if (year < 0 || hour < 0 || minute < 0 || second < 0 || hour > 23 || minute > 59 || second > 60)
    return std::nullopt;
  const std::chrono::year_month_day date{std::chrono::year{year}, std::chrono::month{static_cast<unsigned>(month)},
                                         std::chrono::day{static_cast<unsigned>(day)}};
  if (!date.ok()) return std::nullopt;
  std::int64_t fraction = 0;
  if (s.size() > 20) {
    if (s[19] != '.' || s.size() > 30) return std::nullopt;
    std::int64_t scale = 100'000'000;
    for (std::size_t i = 20; i + 1 < s.size(); ++i, scale /= 10) {
      if (s[i] < '0' || s[i] > '9') return std::nullopt;
      fraction += (s[i] - '0') * scale;
    }
  }
  const std::int64_t days = std::chrono::sys_days(date).time_since_epoch().count();
  return ((days * 24 + hour) * 3600 + minute * 60 + second) * 1'000'000'000 + fraction;
}

}  // namespace

std::optional<cri_line> parse_cri(std::string_view line) {
  const auto first = line.find(' ');
  if (first == std::string_view::npos) return std::nullopt;
  const auto second = line.find(' ', first + 1);
  if (second == std::string_view::npos || second + 1 >= line.size()) return std::nullopt;
  const char tag = line[second + 1];
  if ((tag != 'F' && tag != 'P') || (second + 2 < line.size() && line[second + 2] != ' ')) return std::nullopt;
  const auto time = parse_stamp(line.substr(0, first));
  if (!time) return std::nullopt;
  cri_line c;
  c.time_ns = *time;
  c.time = line.substr(0, first);
  c.stream = line.substr(first + 1, second - first - 1);
  c.partial = tag == 'P';
  c.text = second + 3 <= line.size() ? line.substr(second + 3) : std::string_view{};
  return c;
}

std::int64_t to_nanoseconds(base::wall_time t) {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(t.time_since_epoch()).count();
}

}  // namespace hasup::logs
