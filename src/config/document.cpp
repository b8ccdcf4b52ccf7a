// Reads TOML into the tree of document.hpp.
#include "config/document.hpp"

#include <toml++/toml.h>

#include <algorithm>
#include <sstream>
#include <stdexcept>

namespace hasup::config {
namespace {

std::vector<std::string> split_lines(std::string_view text) {
  std::vector<std::string> lines;
  while (!text.empty()) {
    const auto end = text.find('\n');
    auto line = text.substr(0, end);
    if (line.ends_with('\r')) line.remove_suffix(1);
    lines.emplace_back(line);
    if (end == std::string_view::npos) break;
    text.remove_prefix(end + 1);
  }
  return lines;
}

// The library counts code points, from 1; compilers and editors count bytes.
std::uint32_t byte_column(const std::string& line, std::uint32_t code_points) {
  std::size_t i = 0;
  for (std::uint32_t left = code_points > 0 ? code_points - 1 : 0; left > 0 && i < line.size(); --left) {
    ++i;
    while (i < line.size() && (static_cast<unsigned char>(line[i]) & 0xC0U) == 0x80U) ++i;
  }
  return static_cast<std::uint32_t>(i + 1);
}

place to_place(const std::shared_ptr<const text_source>& source, const toml::source_region& region) {
  place p{source, region.begin.line, 1, 1};
  if (p.line == 0 || p.line > source->lines.size()) {
    // An unfinished file is found to be so behind its last line: point at the end of what there is.
    p.line = static_cast<std::uint32_t>(source->lines.size());
    if (p.line > 0) p.column = static_cast<std::uint32_t>(source->lines.back().size()) + 1;
    return p;
  }
  const auto& line = source->lines[p.line - 1];
  p.column = byte_column(line, region.begin.column);
  const auto end = region.end.line == region.begin.line ? byte_column(line, region.end.column)
                                                        : static_cast<std::uint32_t>(line.size()) + 1;
  p.length = std::max(1U, end > p.column ? end - p.column : 1U);
  return p;
}

std::string time_text(const toml::node& node) {
  std::ostringstream out;
  if (const auto* d = node.as_date())
    out << *d;
  else if (const auto* t = node.as_time())
    out << *t;
  else if (const auto* dt = node.as_date_time())
    out << *dt;
  return out.str();
}

value convert(const toml::node& node, const std::shared_ptr<const text_source>& source) {
  value v;
  v.where = to_place(source, node.source());
  if (const auto* t = node.as_table()) {
    v.type = value_type::table;
    v.is_inline = t->is_inline();
    for (const auto& [key, child] : *t)
      v.members.push_back({std::string(key.str()), to_place(source, key.source()), convert(child, source)});
    std::stable_sort(v.members.begin(), v.members.end(), [](const member& a, const member& b) {
      return std::pair(a.key_place.line, a.key_place.column) < std::pair(b.key_place.line, b.key_place.column);
    });
  } else if (const auto* a = node.as_array()) {
    v.type = value_type::array;
    for (const auto& child : *a) v.items.push_back(convert(child, source));
  } else if (const auto* s = node.as_string()) {
    v.type = value_type::text;
    v.text = s->get();
  } else if (const auto* i = node.as_integer()) {
    v.type = value_type::integer;
    v.integer = i->get();
  } else if (const auto* f = node.as_floating_point()) {
    v.type = value_type::real;
    v.real = f->get();
  } else if (const auto* b = node.as_boolean()) {
    v.type = value_type::boolean;
    v.boolean = b->get();
  } else {
    v.type = value_type::time;
    v.text = time_text(node);
  }
  return v;
}

// The library's words, without its talk about its own parsing, and with the remedy for the mistake made most often.
std::string syntax_message(std::string_view text, std::string_view rest_of_line) {
  constexpr std::string_view lead = "Error while parsing ";
  if (text.starts_with(lead)) {
    text.remove_prefix(lead.size());
    if (const auto colon = text.find(": "); colon != std::string_view::npos) {
      const auto what = text.substr(0, colon);
      const auto why = text.substr(colon + 2);
      if (why == "could not determine value type") {
        const auto word =
            rest_of_line.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-");
        const auto next = rest_of_line.find_first_not_of(' ', word);
        if (word > 0 && next != std::string_view::npos && rest_of_line[next] == '=')
          return "a key where a value is expected; is the array or string before it closed?";
        return "not a value; texts stand in quotes: \"like this\"";
      }
      return "cannot read this " + std::string(what) + ": " + std::string(why);
    }
  }
  return "not TOML: " + std::string(text);
}

}  // namespace

std::optional<value> parse_document(const std::string& file, std::string_view text, report& findings) {
  auto source = std::make_shared<text_source>(text_source{file, split_lines(text)});
  if (text.find('\0') != std::string_view::npos) {
    findings.error({source, 0, 0, 1}, "holds zero bytes: this is no text file");
    return std::nullopt;
  }
  try {
    auto root = convert(toml::parse(text), source);
    root.where = {source, 0, 0, 1};
    return root;
  } catch (const toml::parse_error& e) {
    const auto at = to_place(source, e.source());
    std::string_view rest;
    if (at.line > 0) rest = source->lines[at.line - 1];
    rest.remove_prefix(std::min<std::size_t>(at.column - 1, rest.size()));
    findings.error(at, syntax_message(e.description(), rest));
    return std::nullopt;
  } catch (const std::logic_error& e) {  // see cmake/toml.cpp
    findings.error({source, 0, 0, 1}, e.what());
    return std::nullopt;
  }
}

}  // namespace hasup::config
