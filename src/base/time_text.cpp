#include "base/time_text.hpp"

#include <array>
#include <charconv>
#include <cstdio>

namespace hasup::base {
namespace {

// Reads exactly `digits` digits from the front.
bool take(std::string_view& text, std::size_t digits, int& out) {
  if (text.size() < digits) return false;
  const auto [end, ec] = std::from_chars(text.data(), text.data() + digits, out);
  if (ec != std::errc{} || end != text.data() + digits || text[0] == '-' || text[0] == '+') return false;
  text.remove_prefix(digits);
  return true;
}

bool take(std::string_view& text, char c) {
  if (text.empty() || text[0] != c) return false;
  text.remove_prefix(1);
  return true;
}

}  // namespace

std::string format_time(wall_time t, bool with_milliseconds) {
  using namespace std::chrono;
  const auto ms = floor<milliseconds>(t);
  const auto day = floor<days>(ms);
  const year_month_day date{day};
  const hh_mm_ss clock{ms - day};
  std::array<char, 48> out{};
  int n = std::snprintf(out.data(), out.size(), "%04d-%02u-%02uT%02d:%02d:%02d", static_cast<int>(date.year()),
                        static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()),
                        static_cast<int>(clock.hours().count()), static_cast<int>(clock.minutes().count()),
                        static_cast<int>(clock.seconds().count()));
  std::string text(out.data(), static_cast<std::size_t>(n));
  if (with_milliseconds) {
    n = std::snprintf(out.data(), out.size(), ".%03d", static_cast<int>(clock.subseconds().count()));
    text.append(out.data(), static_cast<std::size_t>(n));
  }
  return text + "Z";
}

result<wall_time> parse_time(std::string_view text) {
  using namespace std::chrono;
  const error bad{"bad time \"" + std::string(text) + "\"; expected for example 2026-11-21T01:02:03Z"};
  int y = 0, mo = 0, d = 0, h = 0, mi = 0, s = 0;
  if (!(take(text, 4, y) && take(text, '-') && take(text, 2, mo) && take(text, '-') && take(text, 2, d))) return bad;
  if (!take(text, 'T') && !take(text, ' ')) return bad;
  if (!(take(text, 2, h) && take(text, ':') && take(text, 2, mi) && take(text, ':') && take(text, 2, s))) return bad;
  nanoseconds fraction{0};
  if (take(text, '.')) {
    long long scale = 100'000'000;
    bool any = false;
    while (!text.empty() && text[0] >= '0' && text[0] <= '9') {
      fraction += nanoseconds{(text[0] - '0') * scale};
      scale /= 10;
      any = true;
      text.remove_prefix(1);
    }
    if (!any) return bad;
  }
  minutes offset{0};
  if (!text.empty() && !take(text, 'Z')) {
    const bool minus = text[0] == '-';
    int oh = 0, om = 0;
    if (!take(text, '+') && !take(text, '-')) return bad;
    if (!take(text, 2, oh)) return bad;
    take(text, ':');
    if (!take(text, 2, om)) return bad;
    offset = hours{oh} + minutes{om};
    if (minus) offset = -offset;
  }
  if (!text.empty()) return bad;
  const year_month_day date{year{y}, month{static_cast<unsigned>(mo)}, day{static_cast<unsigned>(d)}};
  if (!date.ok() || h > 23 || mi > 59 || s > 60) return bad;
  if (y < 1678 || y > 2261) return bad;  // what the clock's nanoseconds can hold; text may come from a stranger
  return wall_time{duration_cast<system_clock::duration>(sys_days{date}.time_since_epoch() + hours{h} + minutes{mi} +
                                                         seconds{s} + fraction - offset)};
}

}  // namespace hasup::base
