#include "migrate/env_file.hpp"

#include <algorithm>

namespace hasup::migrate {

bool fits_env_file(std::string_view name, std::string_view value) {
  const auto letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; };
  const auto allowed = [&](char c) { return letter(c) || (c >= '0' && c <= '9') || c == '.' || c == '-'; };
  return !name.empty() && letter(name[0]) && std::all_of(name.begin(), name.end(), allowed) &&
         value.find('\n') == std::string_view::npos && value.find('\0') == std::string_view::npos;
}

std::string env_file_line(std::string_view name, std::string_view value) {
  const auto lost = [](char c) { return c == ' ' || c == '\t' || c == '\r' || c == '"' || c == '\''; };
  const bool quote = !value.empty() && (lost(value.front()) || lost(value.back()));
  std::string out(name);
  out += '=';
  if (quote) out += '"';
  out += value;
  if (quote) out += '"';
  return out + "\n";
}

}  // namespace hasup::migrate
