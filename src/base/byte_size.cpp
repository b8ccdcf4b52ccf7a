#include "base/byte_size.hpp"

#include <array>
#include <charconv>
#include <cmath>
#include <cstdio>

namespace hasup::base {
namespace {

struct unit_row {
  std::string_view name;
  std::uint64_t bytes;
};

constexpr std::array<unit_row, 10> units{{{"TiB", 1ULL << 40},
                                          {"GiB", 1ULL << 30},
                                          {"MiB", 1ULL << 20},
                                          {"KiB", 1ULL << 10},
                                          {"TB", 1'000'000'000'000ULL},
                                          {"GB", 1'000'000'000ULL},
                                          {"MB", 1'000'000ULL},
                                          {"KB", 1'000ULL},
                                          {"B", 1},
                                          {"", 1}}};

}  // namespace

result<std::uint64_t> parse_byte_size(std::string_view text) {
  const auto bad = [&] {
    return error{"bad size \"" + std::string(text) +
                 "\"; write for example \"64KiB\", \"100MiB\", \"1.5GiB\" or \"2TB\""};
  };
  double number = 0;
  const auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), number, std::chars_format::fixed);
  if (ec != std::errc{} || text[0] == '-' || !std::isfinite(number)) return bad();
  auto name = text.substr(static_cast<std::size_t>(end - text.data()));
  while (!name.empty() && name[0] == ' ') name.remove_prefix(1);
  for (const auto& u : units) {
    if (u.name != name) continue;
    const double bytes = number * static_cast<double>(u.bytes);
    if (bytes > 9e18) return bad();
    return static_cast<std::uint64_t>(std::llround(bytes));
  }
  return bad();
}

std::string format_byte_size(std::uint64_t bytes) {
  for (const auto& u : units) {
    if (u.name.size() != 3 || bytes < u.bytes) continue;
    const double n = static_cast<double>(bytes) / static_cast<double>(u.bytes);
    std::array<char, 32> buffer{};
    std::snprintf(buffer.data(), buffer.size(), n < 10 ? "%.2g" : "%.0f", n);
    if (n < 10) std::snprintf(buffer.data(), buffer.size(), "%.1f", n);
    return std::string(buffer.data()) + std::string(u.name);
  }
  return std::to_string(bytes) + "B";
}

}  // namespace hasup::base
