#include "model/unit_name.hpp"

#include <algorithm>
#include <charconv>

namespace hasup::model {

bool is_unit_name(std::string_view text) {
  const auto alnum = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); };
  return !text.empty() && text.size() <= 64 && alnum(text[0]) &&
         std::all_of(text.begin(), text.end(), [&](char c) { return alnum(c) || c == '.' || c == '_' || c == '-'; });
}

std::string to_text(const instance_id& id) {
  return id.unit + "@" + std::to_string(id.index);
}

std::optional<unit_reference> parse_unit_reference(std::string_view text) {
  unit_reference out;
  const auto at = text.find('@');
  out.unit = text.substr(0, at);
  if (!is_unit_name(out.unit)) return std::nullopt;
  if (at != std::string_view::npos) {
    unsigned index = 0;
    const auto digits = text.substr(at + 1);
    const auto [end, ec] = std::from_chars(digits.data(), digits.data() + digits.size(), index);
    if (digits.empty() || ec != std::errc{} || end != digits.data() + digits.size()) return std::nullopt;
    out.index = index;
  }
  return out;
}

}  // namespace hasup::model
