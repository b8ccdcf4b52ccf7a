#include "migrate/unit_text.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace hasup::migrate {
namespace {

constexpr std::size_t comment_width = 110;

bool is_plain(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
}

}  // namespace

std::string with_literal_dollars(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size();) {
    if (text[i] != '$') {
      out += text[i++];
      continue;
    }
    auto end = text.find_first_not_of('$', i);
    if (end == std::string_view::npos) end = text.size();
    const auto run = end - i;
    const bool read_otherwise = run > 1 || (end < text.size() && text[end] == '{');
    out.append(read_otherwise ? 2 * run : run, '$');
    i = end;
  }
  return out;
}

std::string quoted_as_is(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\')
      out += std::string("\\") + c;
    else if (c == '\n')
      out += "\\n";
    else if (c == '\t')
      out += "\\t";
    else if (byte < 0x20 || byte == 0x7f)
      out += fmt::format("\\u{:04X}", byte);
    else
      out += c;
  }
  return out + "\"";
}

std::string quoted(std::string_view text) {
  return quoted_as_is(with_literal_dollars(text));
}

std::string key_text(std::string_view name) {
  return !name.empty() && std::all_of(name.begin(), name.end(), is_plain) ? std::string(name) : quoted_as_is(name);
}

std::string shell_word(std::string_view text) {
  const auto safe = [](char c) { return is_plain(c) || c == '.' || c == '/' || c == ':' || c == '=' || c == '@'; };
  if (!text.empty() && text[0] != '=' && std::all_of(text.begin(), text.end(), safe)) return std::string(text);
  std::string out = "'";
  for (const char c : text) out += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return out + "'";
}

std::string listed(const std::vector<std::string>& words) {
  std::string out;
  for (const auto& w : words) out += (out.empty() ? "" : ", ") + w;
  return out;
}

void unit_text::comment(std::string_view text) {
  std::string line = "#";
  std::string word;
  const auto flush = [&] {
    if (word.empty()) return;
    if (line.size() > 1 && line.size() + 1 + word.size() > comment_width) {
      text_ += line + "\n";
      line = "#";
    }
    line += " " + word;
    word.clear();
  };
  for (const char c : text) {
    if (static_cast<unsigned char>(c) <= 0x20 || c == 0x7f)
      flush();
    else
      word += c;
  }
  flush();
  text_ += line + "\n";
}

void unit_text::section(std::string_view name) {
  text_ += fmt::format("\n[{}]\n", name);
}

}  // namespace hasup::migrate
