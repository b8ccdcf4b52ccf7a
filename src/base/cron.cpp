#include "base/cron.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <span>
#include <string>
#include <vector>

namespace hasup::base {
namespace {

using namespace std::chrono;

constexpr std::array<std::string_view, 12> month_names{"jan", "feb", "mar", "apr", "may", "jun",
                                                       "jul", "aug", "sep", "oct", "nov", "dec"};
constexpr std::array<std::string_view, 7> weekday_names{"sun", "mon", "tue", "wed", "thu", "fri", "sat"};
constexpr std::array<std::pair<std::string_view, std::string_view>, 7> nicknames{{{"@hourly", "0 * * * *"},
                                                                                  {"@daily", "0 0 * * *"},
                                                                                  {"@midnight", "0 0 * * *"},
                                                                                  {"@weekly", "0 0 * * 0"},
                                                                                  {"@monthly", "0 0 1 * *"},
                                                                                  {"@yearly", "0 0 1 1 *"},
                                                                                  {"@annually", "0 0 1 1 *"}}};

struct field {
  std::string_view name;
  unsigned low;
  unsigned high;
  std::span<const std::string_view> names = {};
};

constexpr std::array<field, 5> fields{{{"minute", 0, 59},
                                       {"hour", 0, 23},
                                       {"day", 1, 31},
                                       {"month", 1, 12, month_names},
                                       {"weekday", 0, 7, weekday_names}}};

error bad(const field& f, std::string_view text) {
  return error{"\"" + std::string(text) + "\" is no " + std::string(f.name) + " (" + std::to_string(f.low) + " to " +
               std::to_string(f.high) + (f.names.empty() ? "" : ", or a name such as " + std::string(f.names[1])) +
               "); lists 1,2, ranges 1-5 and steps */10 work too"};
}

std::optional<unsigned> number(const field& f, std::string_view text) {
  std::string lower(text);
  std::transform(lower.begin(), lower.end(), lower.begin(), [](unsigned char c) { return std::tolower(c); });
  for (std::size_t i = 0; i < f.names.size(); ++i)
    if (f.names[i] == lower) return f.low + static_cast<unsigned>(i);
  unsigned n = 0;
  const auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), n);
  if (text.empty() || ec != std::errc{} || end != text.data() + text.size() || n < f.low || n > f.high)
    return std::nullopt;
  return n;
}

// "*", "5", "1-5", "*/10", "10-20/2"
result<void> add_part(const field& f, std::string_view part, std::bitset<64>& out) {
  const auto slash = part.find('/');
  const auto range = part.substr(0, slash);
  unsigned step = 1;
  if (slash != std::string_view::npos) {
    const auto text = part.substr(slash + 1);
    const auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), step);
    if (text.empty() || ec != std::errc{} || end != text.data() + text.size() || step == 0) return bad(f, part);
  }
  unsigned first = f.low;
  unsigned last = f.high;
  if (range != "*") {
    const auto dash = range.find('-');
    const auto from = number(f, range.substr(0, dash));
    if (!from) return bad(f, part);
    first = *from;
    // "5/10" means from 5 on, as in Vixie cron.
    last = slash == std::string_view::npos ? first : f.high;
    if (dash != std::string_view::npos) {
      const auto to = number(f, range.substr(dash + 1));
      if (!to || *to < first) return bad(f, part);
      last = *to;
    }
  }
  for (unsigned n = first; n <= last; n += step) out.set(n);
  return {};
}

result<std::bitset<64>> parse_field(const field& f, std::string_view text) {
  std::bitset<64> out;
  for (;;) {
    const auto comma = text.find(',');
    if (auto added = add_part(f, text.substr(0, comma), out); !added) return added.error();
    if (comma == std::string_view::npos) return out;
    text.remove_prefix(comma + 1);
  }
}

std::vector<std::string_view> words_of(std::string_view text) {
  std::vector<std::string_view> out;
  while (!text.empty()) {
    const auto end = text.find_first_of(" \t");
    if (end != 0) out.push_back(text.substr(0, end));
    if (end == std::string_view::npos) break;
    text.remove_prefix(end + 1);
  }
  return out;
}

template <std::size_t N>
std::bitset<N> cut(const std::bitset<64>& all) {
  return std::bitset<N>(all.to_ullong());
}

bool fits_day(const cron& c, local_days day) {
  const year_month_day date(day);
  if (!c.months.test(static_cast<unsigned>(date.month()))) return false;
  const bool by_day = c.days.test(static_cast<unsigned>(date.day()));
  const bool by_weekday = c.weekdays.test(weekday(day).c_encoding());
  if (c.any_day || c.any_weekday) return by_day && by_weekday;
  return by_day || by_weekday;
}

}  // namespace

result<cron> parse_cron(std::string_view text) {
  for (const auto& [nick, meaning] : nicknames)
    if (text == nick) return parse_cron(meaning);
  const auto words = words_of(text);
  if (words.size() != fields.size())
    return error{
        "a schedule has five fields, minute hour day month weekday, such as \"0 4 * * *\", or is @daily, "
        "@hourly, @weekly, @monthly or @yearly"};
  std::array<std::bitset<64>, 5> sets;
  for (std::size_t i = 0; i < fields.size(); ++i) {
    auto set = parse_field(fields[i], words[i]);
    if (!set) return set.error();
    sets[i] = *set;
  }
  cron c;
  c.minutes = cut<60>(sets[0]);
  c.hours = cut<24>(sets[1]);
  c.days = cut<32>(sets[2]);
  c.months = cut<13>(sets[3]);
  if (sets[4].test(7)) sets[4].set(0);
  sets[4].reset(7);
  c.weekdays = cut<7>(sets[4]);
  c.any_day = words[2].starts_with('*');
  c.any_weekday = words[4].starts_with('*');
  return c;
}

std::optional<wall_minutes> next_after(const cron& c, wall_minutes t) {
  const auto start = t + minutes(1);
  const auto first_day = floor<days>(start);
  const auto last_day = first_day + days(8 * 366);
  for (local_days day{first_day.time_since_epoch()}; day <= last_day; day += days(1)) {
    if (!fits_day(c, day)) continue;
    const auto from = day == first_day ? start - first_day : minutes(0);
    for (auto at = from; at < days(1); at += minutes(1)) {
      const auto hour = static_cast<std::size_t>(at / hours(1));
      if (!c.hours.test(hour)) {
        at = hours(hour + 1) - minutes(1);
        continue;
      }
      if (c.minutes.test(static_cast<std::size_t>((at % hours(1)).count()))) return wall_minutes(day + at);
    }
  }
  return std::nullopt;
}

}  // namespace hasup::base
