#include "base/json_number.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

namespace hasup::base {
namespace {

constexpr std::string_view number_characters = "0123456789+-.eE";

// Behind the closing quote of the string that begins at `at`.
std::size_t end_of_string(std::string_view json, std::size_t at) {
  for (++at; at < json.size() && json[at] != '"'; ++at)
    if (json[at] == '\\') ++at;
  return std::min(at + 1, json.size());
}

std::string plain(std::string_view number) {
  double value = 0;
  const auto [end, ec] = std::from_chars(number.data(), number.data() + number.size(), value);
  const auto size = std::abs(value);
  if (ec != std::errc{} || end != number.data() + number.size() || (size != 0 && (size < 1e-7 || size >= 1e21)))
    return std::string(number);
  std::array<char, 64> buffer{};
  const auto written = std::to_chars(buffer.data(), buffer.data() + buffer.size(), value, std::chars_format::fixed);
  std::string text(buffer.data(), written.ptr);
  return text.find('.') == std::string::npos ? text + ".0" : text;
}

}  // namespace

std::string plain_numbers(std::string_view json) {
  std::string out;
  out.reserve(json.size());
  std::size_t copied = 0;
  for (std::size_t at = 0; at < json.size();) {
    if (json[at] == '"') {
      at = end_of_string(json, at);
      continue;
    }
    if (json[at] != '-' && (json[at] < '0' || json[at] > '9')) {
      ++at;
      continue;
    }
    const auto end = std::min(json.find_first_not_of(number_characters, at), json.size());
    const auto number = json.substr(at, end - at);
    if (number.find_first_of("eE") != std::string_view::npos) {
      out += json.substr(copied, at - copied);
      out += plain(number);
      copied = end;
    }
    at = end;
  }
  return out += json.substr(copied);
}

}  // namespace hasup::base
