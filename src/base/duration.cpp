#include "base/duration.hpp"

#include <array>
#include <charconv>
#include <cmath>

namespace hasup::base {
namespace {

struct unit_row {
  std::string_view name;
  long long milliseconds;
};

constexpr std::array<unit_row, 6> units{
    {{"w", 604'800'000}, {"d", 86'400'000}, {"h", 3'600'000}, {"m", 60'000}, {"s", 1'000}, {"ms", 1}}};
constexpr double longest = 100.0 * 365 * 86'400'000;

error bad(std::string_view text) {
  return {"bad duration \"" + std::string(text) +
          "\"; write for example \"250ms\", \"10s\", \"5m\", \"1h30m\" or \"7d\""};
}

}  // namespace

result<duration> parse_duration(std::string_view text) {
  const std::string_view whole = text;
  double total = 0;
  std::size_t next_unit = 0;  // units must fall: "1s1h" is a typing mistake
  if (text.empty()) return bad(whole);
  while (!text.empty()) {
    double number = 0;
    const auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), number, std::chars_format::fixed);
    if (ec != std::errc{} || text[0] == '-' || !std::isfinite(number)) return bad(whole);
    text.remove_prefix(static_cast<std::size_t>(end - text.data()));
    std::size_t letters = 0;
    while (letters < text.size() && text[letters] >= 'a' && text[letters] <= 'z') ++letters;
    const auto name = text.substr(0, letters);
    std::size_t i = next_unit;
    while (i < units.size() && units[i].name != name) ++i;
    if (i == units.size()) return bad(whole);
    next_unit = i + 1;
    total += number * static_cast<double>(units[i].milliseconds);
    text.remove_prefix(letters);
  }
  if (total > longest) return bad(whole);
  return duration{std::llround(total)};
}

std::string format_duration(duration d) {
  long long left = d.count() < 0 ? 0 : d.count();
  if (left == 0) return "0s";
  std::string out;
  for (const auto& u : units) {
    if (u.name == "w") continue;
    if (const auto n = left / u.milliseconds; n > 0) {
      out += std::to_string(n);
      out += u.name;
      left %= u.milliseconds;
    }
  }
  return out;
}

std::string format_duration_rounded(duration d) {
  const auto ms = d.count();
  if (ms <= 0 || ms >= 9'950) return format_duration_short(duration{ms + 500});
  if (ms < 950) return std::to_string(ms) + "ms";
  const auto tenths = (ms + 50) / 100;
  return std::to_string(tenths / 10) + (tenths % 10 == 0 ? "" : "." + std::to_string(tenths % 10)) + "s";
}

std::string format_duration_short(duration d) {
  long long left = d.count() < 0 ? 0 : d.count();
  std::string out;
  int shown = 0;
  for (const auto& u : units) {
    if (u.name == "w" || (u.name == "ms" && shown == 0 && left == 0)) continue;
    if (u.name == "ms") break;
    const auto n = left / u.milliseconds;
    left %= u.milliseconds;
    if (n == 0 && shown == 0) continue;
    if (n > 0) out += std::to_string(n) + std::string(u.name);
    if (++shown == 2) break;
  }
  return out.empty() ? "0s" : out;
}

}  // namespace hasup::base
