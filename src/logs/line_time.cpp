// Looks for a time in the first bytes of a line.
#include "logs/line_time.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <ctime>

namespace hasup::logs {
namespace {

constexpr std::size_t looked_at = 160;  // an access log has a client's address and name before its time

class cursor {
 public:
  explicit cursor(std::string_view text) : text_(text) {}

  bool number(std::size_t digits, int& out) {
    if (text_.size() < digits) return false;
    out = 0;
    for (std::size_t i = 0; i < digits; ++i) {
      if (text_[i] < '0' || text_[i] > '9') return false;
      out = out * 10 + (text_[i] - '0');
    }
    text_.remove_prefix(digits);
    return true;
  }
  bool one_of(std::string_view chars, char& out) {
    if (text_.empty() || chars.find(text_[0]) == std::string_view::npos) return false;
    out = text_[0];
    text_.remove_prefix(1);
    return true;
  }
  bool is(char c) {
    char ignored = 0;
    return one_of({&c, 1}, ignored);
  }
  std::string_view word(std::size_t length) {
    const auto w = text_.substr(0, length);
    text_.remove_prefix(w.size());
    return w;
  }
  // ".123" or ",123"; 0 when there is none.
  std::int64_t fraction() {
    if (text_.size() < 2 || (text_[0] != '.' && text_[0] != ',') || text_[1] < '0' || text_[1] > '9') return 0;
    text_.remove_prefix(1);
    std::int64_t value = 0, scale = 100'000'000;
    while (!text_.empty() && text_[0] >= '0' && text_[0] <= '9') {
      value += (text_[0] - '0') * scale;
      scale /= 10;
      text_.remove_prefix(1);
    }
    return value;
  }
  // Minutes east of Greenwich of "Z", "+01:00", " +0100"; nullopt: no zone is named.
  std::optional<int> zone() {
    cursor c = *this;
    if (c.is('Z')) return 0;
    c.is(' ');
    char sign = 0;
    int hours = 0, minutes = 0;
    if (!c.one_of("+-", sign) || !c.number(2, hours)) return std::nullopt;
    c.is(':');
    if (!c.number(2, minutes)) return std::nullopt;
    return (hours * 60 + minutes) * (sign == '-' ? -1 : 1);
  }

 private:
  std::string_view text_;
};

struct parts {
  int year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0;
  std::int64_t fraction_ns = 0;
  std::optional<int> zone;
  bool local = false;  // when no zone is named
};

bool clock_of(cursor& c, parts& p) {
  if (!(c.number(2, p.hour) && c.is(':') && c.number(2, p.minute) && c.is(':') && c.number(2, p.second)))
    return false;
  p.fraction_ns = c.fraction();
  p.zone = c.zone();
  return p.hour < 24 && p.minute < 60 && p.second < 61;
}

// 2026-11-21T01:02:03, 2026-11-21 01:02:03, 2026/11/21 01:02:03
bool year_first(std::string_view text, parts& p) {
  cursor c(text);
  char dash = 0, between = 0;
  if (!c.number(4, p.year) || !c.one_of("-/", dash) || !c.number(2, p.month) || !c.is(dash) || !c.number(2, p.day) ||
      !c.one_of("T ", between))
    return false;
  p.local = between == ' ';
  return clock_of(c, p);
}

// 21/Nov/2026:01:02:03 +0000
bool day_first(std::string_view text, parts& p) {
  constexpr std::array<std::string_view, 12> months{"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                                    "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  cursor c(text);
  if (!c.number(2, p.day) || !c.is('/')) return false;
  const auto* const month = std::find(months.begin(), months.end(), c.word(3));
  if (month == months.end() || !c.is('/') || !c.number(4, p.year) || !c.is(':')) return false;
  p.month = static_cast<int>(month - months.begin()) + 1;
  p.local = true;
  return clock_of(c, p);
}

std::optional<std::int64_t> to_ns(const parts& p) {
  const std::chrono::year_month_day date{std::chrono::year{p.year},
                                         std::chrono::month{static_cast<unsigned>(p.month)},
                                         std::chrono::day{static_cast<unsigned>(p.day)}};
  if (!date.ok() || p.year < 1970 || p.year > 2261) return std::nullopt;
  std::int64_t seconds = 0;
  if (p.local && !p.zone) {
    std::tm t{};
    t.tm_year = p.year - 1900;
    t.tm_mon = p.month - 1;
    t.tm_mday = p.day;
    t.tm_hour = p.hour;
    t.tm_min = p.minute;
    t.tm_sec = p.second;
    t.tm_isdst = -1;
    seconds = std::mktime(&t);
  } else {
    const std::int64_t days = std::chrono::sys_days(date).time_since_epoch().count();
    seconds = (days * 24 + p.hour) * 3600 + p.minute * 60 + p.second - p.zone.value_or(0) * 60;
  }
  return seconds * 1'000'000'000 + p.fraction_ns;
}

}  // namespace

std::optional<std::int64_t> line_time(std::string_view line) {
  line = line.substr(0, looked_at);
  for (std::size_t at = 0; at + 19 <= line.size(); ++at) {
    // A date begins with a digit, and not inside of a longer number.
    if (line[at] < '0' || line[at] > '9' || (at > 0 && line[at - 1] >= '0' && line[at - 1] <= '9')) continue;
    parts p;
    if (year_first(line.substr(at), p) || (p = parts{}, day_first(line.substr(at), p))) return to_ns(p);
  }
  return std::nullopt;
}

}  // namespace hasup::logs
