// The tree of document.hpp: access, findings, and its JSON and TOML texts.
#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <utility>

#include "config/document.hpp"

namespace hasup::config {
namespace {

std::string real_text(double d) {
  if (std::isnan(d)) return "nan";
  if (std::isinf(d)) return d < 0 ? "-inf" : "inf";
  std::array<char, 64> out{};
  const auto [end, ec] = std::to_chars(out.data(), out.data() + out.size(), d);
  std::string text(out.data(), ec == std::errc{} ? end : out.data());
  if (text.find_first_of(".e") == std::string::npos) text += ".0";
  return text;
}

// The escapes that JSON and TOML's basic strings have in common.
std::string quoted(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    switch (c) {
      case '"':
        out += "\\\"";
        break;
      case '\\':
        out += "\\\\";
        break;
      case '\n':
        out += "\\n";
        break;
      case '\r':
        out += "\\r";
        break;
      case '\t':
        out += "\\t";
        break;
      default:
        if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) {
          std::array<char, 8> buffer{};
          std::snprintf(buffer.data(), buffer.size(), "\\u%04x",
                        static_cast<unsigned>(static_cast<unsigned char>(c)));
          out += buffer.data();
        } else {
          out += c;
        }
    }
  }
  return out + "\"";
}

std::string key_text(const std::string& key) {
  const bool bare = !key.empty() && std::all_of(key.begin(), key.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
  });
  return bare ? key : quoted(key);
}

std::string inline_toml(const value& v) {
  if (v.is(value_type::array)) {
    std::string out = "[";
    for (const auto& item : v.items) out += (out.size() > 1 ? ", " : "") + inline_toml(item);
    return out + "]";
  }
  if (v.is(value_type::table)) {
    std::string out = "{";
    for (const auto& m : v.members)
      out += (out.size() > 1 ? ", " : " ") + key_text(m.key) + " = " + inline_toml(m.content);
    return out + (v.members.empty() ? "}" : " }");
  }
  return v.is(value_type::text) ? quoted(v.text) : scalar_text(v).value_or("");
}

bool is_table_array(const value& v) {
  return v.is(value_type::array) && !v.items.empty() &&
         std::all_of(v.items.begin(), v.items.end(),
                     [](const value& i) { return i.is(value_type::table) && !i.is_inline; });
}

bool is_section(const value& v) {
  return (v.is(value_type::table) && !v.is_inline) || is_table_array(v);
}

void write_table(const value& table, const std::string& path, std::string& out) {
  for (const auto& m : table.members)
    if (!is_section(m.content)) out += key_text(m.key) + " = " + inline_toml(m.content) + "\n";
  for (const auto& m : table.members) {
    if (!is_section(m.content)) continue;
    const std::string name = path.empty() ? key_text(m.key) : path + "." + key_text(m.key);
    if (m.content.is(value_type::table)) {
      const auto& inner = m.content.members;
      const bool only_sections = !inner.empty() && std::all_of(inner.begin(), inner.end(),
                                                               [](const member& i) { return is_section(i.content); });
      if (!only_sections) out += (out.empty() ? "[" : "\n[") + name + "]\n";
      write_table(m.content, name, out);
    } else {
      for (const auto& item : m.content.items) {
        out += (out.empty() ? "[[" : "\n[[") + name + "]]\n";
        write_table(item, name, out);
      }
    }
  }
}

}  // namespace

std::string_view type_name(value_type t) {
  switch (t) {
    case value_type::text:
      return "a string";
    case value_type::integer:
      return "an integer";
    case value_type::real:
      return "a decimal number";
    case value_type::boolean:
      return "a boolean";
    case value_type::time:
      return "a date or time";
    case value_type::array:
      return "an array";
    case value_type::table:
      return "a table";
  }
  return "?";
}

const member* value::find_member(std::string_view key) const {
  if (type != value_type::table) return nullptr;
  for (const auto& m : members)
    if (m.key == key) return &m;
  return nullptr;
}

const value* value::find(std::string_view key) const {
  const auto* m = find_member(key);
  return m == nullptr ? nullptr : &m->content;
}

value* value::find(std::string_view key) {
  return const_cast<value*>(std::as_const(*this).find(key));
}

void value::set(std::string_view key, value v) {
  if (auto* old = find(key)) {
    *old = std::move(v);
  } else {
    auto at = v.where;
    members.push_back({std::string(key), std::move(at), std::move(v)});
  }
}

void value::erase(std::string_view key) {
  std::erase_if(members, [&](const member& m) { return m.key == key; });
}

value make_text(std::string text, const place& where) {
  value v;
  v.type = value_type::text;
  v.text = std::move(text);
  v.where = where;
  return v;
}

std::optional<std::string> scalar_text(const value& v) {
  switch (v.type) {
    case value_type::text:
    case value_type::time:
      return v.text;
    case value_type::integer:
      return std::to_string(v.integer);
    case value_type::real:
      return real_text(v.real);
    case value_type::boolean:
      return v.boolean ? "true" : "false";
    case value_type::array:
    case value_type::table:
      return std::nullopt;
  }
  return std::nullopt;
}

std::string to_json(const value& v) {
  if (v.is(value_type::array)) {
    std::string out = "[";
    for (const auto& item : v.items) out += (out.size() > 1 ? "," : "") + to_json(item);
    return out + "]";
  }
  if (v.is(value_type::table)) {
    std::string out = "{";
    for (const auto& m : v.members) out += (out.size() > 1 ? "," : "") + quoted(m.key) + ":" + to_json(m.content);
    return out + "}";
  }
  const bool number_without_json = v.is(value_type::real) && !std::isfinite(v.real);
  if (v.is(value_type::text) || v.is(value_type::time) || number_without_json)
    return quoted(scalar_text(v).value_or(""));
  return scalar_text(v).value_or("null");
}

std::string to_toml(const value& table) {
  std::string out;
  write_table(table, "", out);
  return out;
}

void report::add(base::severity level, const place& at, std::string message) {
  base::diagnostic d;
  d.level = level;
  d.message = std::move(message);
  if (at.source) {
    d.file = at.source->file;
    d.line = at.line;
    d.column = at.column;
    d.length = at.length;
    if (at.line > 0 && at.line <= at.source->lines.size()) d.source_line = at.source->lines[at.line - 1];
  }
  add(std::move(d));
}

void report::add(base::diagnostic d) {
  if (std::find(all_.begin(), all_.end(), d) == all_.end()) all_.push_back(std::move(d));
}

place place_of(const value& v, std::string_view token) {
  const auto& p = v.where;
  if (token.empty() || !p.source || p.line == 0 || p.line > p.source->lines.size()) return p;
  // A text over several lines starts on the place's line; look on the following ones too, but not for ever.
  for (std::uint32_t i = 0; i < 50 && p.line + i <= p.source->lines.size(); ++i) {
    const auto at = p.source->lines[p.line - 1 + i].find(token, i == 0 ? p.column - 1 : 0);
    if (at != std::string::npos && (i > 0 || at + token.size() <= p.column - 1 + p.length)) {
      return {p.source, p.line + i, static_cast<std::uint32_t>(at + 1), static_cast<std::uint32_t>(token.size())};
    }
  }
  return p;
}

}  // namespace hasup::config
