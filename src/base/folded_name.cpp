#include "base/folded_name.hpp"

#include <array>
#include <utility>

namespace hasup::base {
namespace {

// All that Unicode's canonical decomposition or full case folding makes plain ASCII of.
constexpr std::array<std::pair<std::string_view, std::string_view>, 13> into_ascii{{
    {"\u00df", "ss"},  // sharp s
    {"\u017f", "s"},   // long s
    {"\u037e", ";"},   // Greek question mark
    {"\u1e9e", "ss"},  // capital sharp s
    {"\u1fef", "`"},   // Greek varia
    {"\u212a", "k"},   // Kelvin sign
    {"\ufb00", "ff"},
    {"\ufb01", "fi"},
    {"\ufb02", "fl"},
    {"\ufb03", "ffi"},
    {"\ufb04", "ffl"},
    {"\ufb05", "st"},
    {"\ufb06", "st"},
}};

}  // namespace

std::string folded_name(std::string_view name) {
  std::string out;
  while (!name.empty()) {
    std::size_t read = 1;
    const char c = name.front();
    if (c >= 'A' && c <= 'Z') {
      out += static_cast<char>(c | 0x20);
    } else if (static_cast<unsigned char>(c) < 0x80) {
      out += c;
    } else {
      for (const auto& [from, to] : into_ascii) {
        if (!name.starts_with(from)) continue;
        out += to;
        read = from.size();
        break;
      }
    }
    name.remove_prefix(read);
  }
  return out;
}

}  // namespace hasup::base
