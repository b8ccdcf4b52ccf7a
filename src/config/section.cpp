#include "config/section.hpp"

#include <limits>

#include "base/byte_size.hpp"
#include "config/paths.hpp"
#include "model/own_directory.hpp"

namespace hasup::config {

const value* section::raw(std::string_view key) const {
  const auto* v = table_ == nullptr ? nullptr : table_->find(key);
  return v == nullptr || v->broken ? nullptr : v;
}

bool section::has(std::string_view key) const {
  return table_ != nullptr && table_->find(key) != nullptr;
}

std::vector<section> section::subs(std::string_view key) const {
  std::vector<section> out;
  if (const auto* v = raw(key))
    for (const auto& item : v->items) out.emplace_back(&item, findings_);
  return out;
}

place section::where(std::string_view key) const {
  const auto* v = table_ == nullptr ? nullptr : table_->find(key);
  return v == nullptr ? where() : v->where;
}

place section::key_place(std::string_view key) const {
  const auto* m = table_ == nullptr ? nullptr : table_->find_member(key);
  return m == nullptr ? where() : m->key_place;
}

void section::read(std::string_view key, std::string& out) const {
  if (const auto* v = raw(key)) out = v->text;
}

void section::read(std::string_view key, bool& out) const {
  if (const auto* v = raw(key)) out = v->boolean;
}

void section::read(std::string_view key, double& out) const {
  if (const auto* v = raw(key)) out = v->is(value_type::integer) ? static_cast<double>(v->integer) : v->real;
}

void section::read(std::string_view key, base::duration& out) const {
  if (const auto* v = raw(key))
    if (const auto d = base::parse_duration(v->text)) out = *d;
}

void section::read(std::string_view key, std::optional<base::duration>& out) const {
  if (const auto* v = raw(key))
    if (const auto d = base::parse_duration(v->text)) out = *d;
}

void section::read(std::string_view key, std::vector<std::string>& out) const {
  const auto* v = raw(key);
  if (v == nullptr) return;
  out.clear();
  if (v->is(value_type::text)) out.push_back(v->text);
  for (const auto& item : v->items) out.push_back(item.text);
}

void section::read(std::string_view key, std::vector<std::vector<std::string>>& out) const {
  const auto* v = raw(key);
  if (v == nullptr) return;
  out.clear();
  const auto add = [&](const value& command) {
    auto& argv = out.emplace_back();
    for (const auto& word : command.items) argv.push_back(word.text);
    if (argv.empty() || argv[0].empty())
      findings_.error(command.where, "\"" + std::string(key) + "\" names no program");
  };
  if (v->items.empty()) return;
  if (v->items.front().is(value_type::text)) return add(*v);
  for (const auto& item : v->items) add(item);
}

void section::read(std::string_view key, std::vector<int>& out) const {
  const auto* v = raw(key);
  if (v == nullptr) return;
  out.clear();
  const auto add = [&](const value& i) {
    if (i.integer < 0 || i.integer > 999)
      findings_.error(i.where, "\"" + std::string(key) + "\" must be 0 to 999");
    else
      out.push_back(static_cast<int>(i.integer));
  };
  if (v->is(value_type::integer)) add(*v);
  for (const auto& item : v->items) add(item);
}

void section::read(std::string_view key, std::map<std::string, std::string>& out) const {
  const auto* v = raw(key);
  if (v == nullptr) return;
  out.clear();
  for (const auto& m : v->members)
    if (!m.content.broken) out[m.key] = m.content.text;
}

void section::read_size(std::string_view key, std::uint64_t& out) const {
  const auto* v = raw(key);
  if (v == nullptr) return;
  if (v->is(value_type::integer))
    out = static_cast<std::uint64_t>(v->integer);
  else if (const auto s = base::parse_byte_size(v->text))
    out = *s;
}

void section::read_limit(std::string_view key, std::optional<std::uint64_t>& out) const {
  const auto* v = raw(key);
  if (v == nullptr) return;
  std::uint64_t n = 0;
  if (v->is(value_type::text) && v->text == "unlimited")
    n = std::numeric_limits<std::uint64_t>::max();
  else
    read_size(key, n);
  out = n;
}

std::optional<std::int64_t> section::integer(std::string_view key, std::int64_t low, std::int64_t high) const {
  const auto* v = raw(key);
  if (v == nullptr) return std::nullopt;
  if (v->integer >= low && v->integer <= high) return v->integer;
  error(key, "\"" + std::string(key) + "\" must be " + std::to_string(low) + " to " + std::to_string(high));
  return std::nullopt;
}

void section::read(std::string_view key, std::int64_t low, std::int64_t high, unsigned& out) const {
  if (const auto n = integer(key, low, high)) out = static_cast<unsigned>(*n);
}

void section::read(std::string_view key, std::int64_t low, std::int64_t high, int& out) const {
  if (const auto n = integer(key, low, high)) out = static_cast<int>(*n);
}

void section::read_absolute(std::string_view key, std::string& out) const {
  const auto* v = raw(key);
  if (v == nullptr) return;
  if (!v->text.starts_with('/')) return error(key, "\"" + std::string(key) + "\" must be an absolute path");
  out = normal_path(v->text);
}

// Why an entry of the data directory cannot be called so; "" = it can. `path` gets its normal form.
static std::string entry_problem(const std::string& text, section::entries allowed, std::string& path) {
  path = normal_path("/" + text).substr(1);  // ".." that leads out ends at the root, so compare below
  if (text.starts_with('/')) return "must be relative to the data directory";
  if (("/" + text + "/").find("/../") != std::string::npos) return "must not hold \"..\"";
  if (path.empty()) return "must name an entry of the data directory, not the directory itself";
  if (model::is_in_own_directory(path)) return "is hasup's own directory";
  if (allowed != section::entries::globs && path.find('*') != std::string::npos)
    return "must be a name; patterns are not read here";
  return {};
}

void section::read_entry(std::string_view key, std::string& out) const {
  const auto* v = raw(key);
  if (v == nullptr) return;
  out.clear();
  std::string path;
  if (v->text.empty()) return;
  if (const auto problem = entry_problem(v->text, entries::names, path); !problem.empty())
    findings_.error(v->where, "\"" + v->text + "\" in \"" + std::string(key) + "\" " + problem);
  else
    out = path;
}

void section::read_entries(std::string_view key, entries allowed, std::vector<std::string>& out) const {
  const auto* v = raw(key);
  if (v == nullptr) return;
  out.clear();
  for (const auto& item : v->items) {
    const auto& text = item.text;
    if (allowed == entries::names_or_star && text == "*") {
      out.push_back(text);
      continue;
    }
    std::string path;
    const auto problem = entry_problem(text, allowed, path);
    if (problem.empty())
      out.push_back(path);
    else
      findings_.error(item.where, "\"" + text + "\" in \"" + std::string(key) + "\" " + problem);
  }
}

void section::check_pattern(std::string_view key, const std::string& pattern) const {
  if (const auto problem = pattern_problem(pattern))
    error(key, "\"" + std::string(key) + "\" is no regular expression: " + *problem);
}

}  // namespace hasup::config
