// Roff of keys and examples.
#include "cli/roff.hpp"

#include <fmt/format.h>

namespace hasup::cli {
namespace {

std::string_view type_text(config::value_kind k) {
  using enum config::value_kind;
  switch (k) {
    case text:
      return "string";
    case name:
      return "name";
    case integer:
      return "whole number";
    case number:
      return "number";
    case boolean:
      return "true or false";
    case duration:
      return "duration such as \"1m30s\"";
    case size:
      return "size such as \"64KiB\"";
    case limit:
      return "size or \"unlimited\"";
    case texts:
      return "array of strings";
    case text_or_texts:
      return "string or array of strings";
    case commands:
      return "command (array of strings), or array of commands";
    case integer_or_integers:
      return "whole number or array of them";
    case signals:
      return "signal such as \"TERM\", or array of them";
    case word:
      return "one of";
    case anything:
      return "any value";
    case anything_json:
      return "array or table, sent as JSON";
    case text_map:
      return "table of strings";
    case parameters:
      return "table of parameters";
    case directories:
      return "path, table with path and mode, or array of these";
    case sources:
      return "URL, table with url, or array of these";
    case table:
      return "table";
    case text_or_table:
      return "string or table";
    case tables:
      return "array of tables";
  }
  return "value";
}

std::string words_text(const config::key& k) {
  std::string text;
  for (const auto& w : k.words) {
    if (w.ends_with('!')) continue;  // not available yet
    text += (text.empty() ? " " : ", ") + w;
  }
  return text;
}

}  // namespace

std::string type_of(const config::key& k) {
  return std::string(type_text(k.kind)) + words_text(k);
}

std::string roff(std::string_view text) {
  std::string out, ascii(text);
  for (std::size_t at = 0; (at = ascii.find("…", at)) != std::string::npos;)
    ascii.replace(at, std::string_view("…").size(), "...");
  for (const char c : ascii) {
    if (c == '\\')
      out += "\\e";
    else if (c == '-')
      out += "\\-";
    else if (out.empty() && (c == '.' || c == '\''))
      out += std::string("\\&") + c;
    else
      out += c;
  }
  return out;
}

std::string roff_lines(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    const auto end = text.find('\n');
    out += roff(text.substr(0, end)) + "\n";
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  }
  return out;
}

std::string roff_example(std::string_view text) {
  return ".nf\n" + roff_lines(text) + ".fi\n";
}

std::string roff_keys(std::span<const config::key> keys) {
  std::string out;
  for (const auto& k : keys) {
    if (k.when == config::availability::not_yet) continue;
    if (k.kind == config::value_kind::table || k.kind == config::value_kind::tables) {
      out += fmt::format(".SS {}\n{}\n",
                         roff(k.kind == config::value_kind::table ? "[" + k.path + "]" : "[[" + k.path + "]]"),
                         roff(k.help));
      continue;
    }
    out += fmt::format(".TP\n.B {}\n{}", roff(k.path), roff(type_of(k)));
    if (!k.default_text.empty()) out += fmt::format("; default {}", roff(k.default_text));
    out += fmt::format(".\n{}.\n", roff(k.help));
  }
  return out;
}

std::string roff_not_yet(std::span<const config::key> keys) {
  std::string later;
  for (const auto& k : keys)
    if (k.when == config::availability::not_yet) later += (later.empty() ? "" : ",\n") + roff(k.path);
  if (later.empty()) return {};
  return ".SH NOT YET\nThese keys are known and refused until they work:\n" + later + ".\n";
}

}  // namespace hasup::cli
