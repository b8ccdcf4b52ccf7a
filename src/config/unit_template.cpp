#include "config/unit_template.hpp"

#include <algorithm>
#include <charconv>
#include <optional>

#include "base/suggestion.hpp"
#include "base/trimmed.hpp"
#include "config/document.hpp"

namespace hasup::config {
namespace {

using size = std::string_view::size_type;

constexpr std::string_view made_up_network = "10.0.0.";  // in which the endpoints of templates lie

std::vector<std::string> lines_of(std::string_view text) {
  std::vector<std::string> out;
  for (size at = 0; at < text.size();) {
    const auto end = std::min(text.find('\n', at), text.size());
    out.emplace_back(text.substr(at, end - at));
    at = end + 1;
  }
  return out;
}

// Where a scalar that begins there ends; npos: it does not end on this line.
size end_of_scalar(std::string_view line, size begin) {
  const char quote = line[begin];
  if (quote != '"' && quote != '\'') return std::min(line.find_first_of(" \t#\r", begin), line.size());
  if (line.substr(begin, 3) == std::string(3, quote)) return std::string_view::npos;
  for (auto at = begin + 1; at < line.size(); ++at) {
    if (quote == '"' && line[at] == '\\')
      ++at;
    else if (line[at] == quote)
      return at + 1;
  }
  return std::string_view::npos;
}

bool is_an_example(std::string_view value) {
  return value.find("example.com") != std::string_view::npos || value.find("REPLACE-WITH") != std::string_view::npos;
}

bool is_number(std::string_view text) {
  double parsed = 0;
  const auto* end = text.data() + text.size();
  const auto [at, ec] = std::from_chars(text.data(), end, parsed);
  return ec == std::errc() && at == end;
}

std::string quoted(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  return out + '"';
}

base::result<std::string> literal(const template_variable& v, const std::string& value) {
  const auto control = [](unsigned char c) { return c < 0x20 || c == 0x7f; };
  if (std::any_of(value.begin(), value.end(), control))
    return base::error{"the value of " + v.name + " has a control character"};
  if (v.is_text) return base::success(quoted(value));
  if (v.value == "true" || v.value == "false") {
    if (value == "true" || value == "false") return base::success(value);
    return base::error{v.name + " is true or false, not \"" + value + "\""};
  }
  if (is_number(value)) return base::success(value);
  return base::error{v.name + " is a number such as " + v.value + ", not \"" + value + "\""};
}

// Nothing where it is no scalar on one line.
std::optional<template_variable> variable_at(const std::string& name, const value& content,
                                             const std::vector<std::string>& lines) {
  const auto shown = scalar_text(content);
  if (!shown || content.where.line == 0 || content.where.line > lines.size()) return std::nullopt;
  const auto& line = lines[content.where.line - 1];
  template_variable v;
  v.name = name;
  v.value = *shown;
  v.is_text = content.is(value_type::text);
  v.line = content.where.line;
  v.begin = content.where.column - 1;
  if (v.begin >= line.size()) return std::nullopt;
  v.end = end_of_scalar(line, v.begin);
  if (v.end == std::string_view::npos) return std::nullopt;
  const auto rest = base::trimmed(std::string_view(line).substr(v.end));
  if (rest.starts_with('#')) v.about = base::trimmed(rest.substr(1));
  return v;
}

// The addresses of an endpoint that are nobody's in particular.
void add_made_up(const value& endpoint, const std::string& number, const std::vector<std::string>& lines,
                 std::vector<template_variable>& out) {
  const auto* own = endpoint.find("name");
  const auto name = own != nullptr && own->is(value_type::text) ? own->text : number;
  for (const auto& m : endpoint.members) {
    auto v = variable_at(name + "-" + m.key, m.content, lines);
    if (!v) continue;
    const auto scheme = v->value.find("://");
    if (!v->value.substr(scheme == std::string::npos ? 0 : scheme + 3).starts_with(made_up_network)) continue;
    v->is_example = true;
    if (v->about.empty()) v->about = "of the endpoint " + name;
    out.push_back(std::move(*v));
  }
}

// The lines before the first that says something, without their #.
std::string opening_comment(const std::vector<std::string>& lines) {
  std::string out;
  for (const auto& line : lines) {
    if (!line.starts_with('#')) break;
    out += out.empty() ? "" : " ";
    out += base::trimmed(std::string_view(line).substr(1));
  }
  return out;
}

}  // namespace

base::result<unit_template> read_template(const std::string& file, std::string_view text) {
  report findings;
  const auto root = parse_document(file, text, findings);
  if (!root) return base::error{findings.all().empty() ? file + " cannot be read" : headline(findings.all().front())};
  const auto lines = lines_of(text);
  unit_template out;
  out.about = opening_comment(lines);
  if (const auto* d = root->find("description"); d != nullptr) out.description = d->text;
  if (const auto* needs = root->find("requires"); needs != nullptr)
    for (const auto& need : needs->items)
      if (const auto* unit = need.find("unit"); unit != nullptr) out.needs.push_back(unit->text);
  if (const auto* vars = root->find("vars"); vars != nullptr)
    for (const auto& m : vars->members) {
      auto v = variable_at(m.key, m.content, lines);
      if (!v) return base::error{file + ": " + m.key + " of [vars] is no value on one line"};
      v->is_example = is_an_example(v->value);
      out.variables.push_back(std::move(*v));
    }
  if (const auto* upstreams = root->find("upstream"); upstreams != nullptr)
    for (const auto& role : upstreams->members)
      if (const auto* endpoints = role.content.find("endpoint"); endpoints != nullptr)
        for (std::size_t i = 0; i < endpoints->items.size(); ++i)
          add_made_up(endpoints->items[i], role.key + std::to_string(i + 1), lines, out.variables);
  return out;
}

base::result<std::string> fill_template(const unit_template& from, std::string_view text,
                                        const std::map<std::string, std::string>& values) {
  auto lines = lines_of(text);
  for (const auto& [name, value] : values) {
    const auto v = std::find_if(from.variables.begin(), from.variables.end(),
                                [&, wanted = name](const template_variable& known) { return known.name == wanted; });
    if (v == from.variables.end()) {
      std::vector<std::string_view> names;
      for (const auto& known : from.variables) names.push_back(known.name);
      const auto near = base::nearest(name, names);
      return base::error{"there is no variable \"" + name + "\"" +
                         (near.empty() ? std::string() : "; did you mean \"" + std::string(near) + "\"?")};
    }
    auto written = literal(*v, value);
    if (!written) return written.error();
    auto& line = lines.at(v->line - 1);
    // What stands behind it stays in its column where there is room.
    auto rest = line.substr(v->end);
    const auto longer = static_cast<std::ptrdiff_t>(written->size()) - static_cast<std::ptrdiff_t>(v->end - v->begin);
    const auto spaces = static_cast<std::ptrdiff_t>(std::min(rest.find_first_not_of(' '), rest.size()));
    if (spaces > 0 && static_cast<size>(spaces) < rest.size())
      rest = std::string(static_cast<size>(std::max<std::ptrdiff_t>(1, spaces - longer)), ' ') +
             rest.substr(static_cast<size>(spaces));
    line = line.substr(0, v->begin) + *written + rest;
  }
  std::string out;
  for (const auto& line : lines) out += line + "\n";
  return base::success(std::move(out));
}

}  // namespace hasup::config
