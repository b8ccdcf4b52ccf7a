#include "config/schema_check.hpp"

#include <algorithm>
#include <array>
#include <memory>
#include <vector>

#include "base/byte_size.hpp"
#include "base/duration.hpp"
#include "config/habits.hpp"
#include "config/variables.hpp"
#include "model/exit_status.hpp"
#include "model/unit_name.hpp"

namespace hasup::config {
namespace {

using k = value_kind;
using t = value_type;

// The rows of the table, found by walking down instead of by comparing paths.
struct schema_node {
  const key* row = nullptr;
  std::vector<std::pair<std::string_view, std::unique_ptr<schema_node>>> children;  // in the order of the table

  schema_node* find(std::string_view name) const {
    for (const auto& [n, c] : children)
      if (n == name) return c.get();
    return nullptr;
  }
  schema_node& at(std::string_view name) {
    if (auto* found = find(name)) return *found;
    return *children.emplace_back(name, std::make_unique<schema_node>()).second;
  }
};

schema_node build(std::span<const key> keys) {
  schema_node root;
  for (const auto& row : keys) {
    auto* node = &root;
    std::string_view path = row.path;
    while (!path.empty()) {
      const auto dot = path.find('.');
      auto step = path.substr(0, dot);
      if (step.ends_with("[]")) step.remove_suffix(2);
      node = &node->at(step);
      path = dot == std::string_view::npos ? std::string_view{} : path.substr(dot + 1);
    }
    node->row = &row;
  }
  return root;
}

// Built once: a thousand units are checked against the same table.
const schema_node& tree_of(std::span<const key> keys) {
  static const std::array<schema_node, 5> trees{build(unit_keys()), build(recipe_keys()), build(preset_keys()),
                                                build(daemon_keys()), build(upstream_keys())};
  if (keys.data() == unit_keys().data()) return trees[0];
  if (keys.data() == recipe_keys().data()) return trees[1];
  if (keys.data() == upstream_keys().data()) return trees[4];
  return keys.data() == preset_keys().data() ? trees[2] : trees[3];
}

bool all_texts(const value& v) {
  return v.is(t::array) && std::all_of(v.items.begin(), v.items.end(), [](const value& i) { return i.is(t::text); });
}
bool all_integers(const value& v) {
  return v.is(t::array) &&
         std::all_of(v.items.begin(), v.items.end(), [](const value& i) { return i.is(t::integer); });
}
bool is_scalar(const value& v) {
  return !v.is(t::array) && !v.is(t::table);
}

bool has_type(const value& v, k kind) {
  switch (kind) {
    case k::text:
    case k::name:
    case k::word:
    case k::duration:
      return v.is(t::text);
    case k::integer:
      return v.is(t::integer);
    case k::number:
      return v.is(t::integer) || v.is(t::real);
    case k::boolean:
      return v.is(t::boolean);
    case k::size:
    case k::limit:
      return v.is(t::text) || v.is(t::integer);
    case k::texts:
      return all_texts(v);
    case k::text_or_texts:
      return v.is(t::text) || all_texts(v);
    case k::commands:
      return all_texts(v) || (v.is(t::array) && std::all_of(v.items.begin(), v.items.end(), all_texts));
    case k::integer_or_integers:
      return v.is(t::integer) || all_integers(v);
    case k::signals:
      return v.is(t::text) || v.is(t::integer) ||
             (v.is(t::array) && std::all_of(v.items.begin(), v.items.end(),
                                            [](const value& i) { return i.is(t::text) || i.is(t::integer); }));
    case k::anything:
      return true;
    case k::anything_json:
      return v.is(t::array) || v.is(t::table);
    case k::text_map:
    case k::parameters:
    case k::table:
      return v.is(t::table);
    case k::directories:
    case k::sources:
      return v.is(t::text) || v.is(t::table) ||
             (v.is(t::array) && std::all_of(v.items.begin(), v.items.end(),
                                            [](const value& i) { return i.is(t::text) || i.is(t::table); }));
    case k::text_or_table:
      return v.is(t::text) || v.is(t::table);
    case k::tables:
      return v.is(t::array) &&
             std::all_of(v.items.begin(), v.items.end(), [](const value& i) { return i.is(t::table); });
  }
  return false;
}

std::string expected(const key& row) {
  switch (row.kind) {
    case k::text:
    case k::name:
    case k::word:
      return "a string";
    case k::duration:
      return "a duration such as \"10s\"";
    case k::integer:
      return "an integer";
    case k::number:
      return "a number";
    case k::boolean:
      return "true or false";
    case k::size:
      return "a size such as \"64KiB\"";
    case k::limit:
      return "a size such as \"64KiB\", or \"unlimited\"";
    case k::texts:
      return "an array of strings";
    case k::text_or_texts:
      return "a string or an array of strings";
    case k::commands:
      return "a command such as [\"PROGRAM\", \"ARGUMENT\"], or an array of commands";
    case k::integer_or_integers:
      return "an integer or an array of integers";
    case k::signals:
      return "a signal such as \"TERM\"";
    case k::anything:
      return "a value";
    case k::anything_json:
      return "an array or a table";
    case k::text_map:
    case k::parameters:
    case k::table:
      return "a table";
    case k::directories:
      return "a path, a table with \"path\", or an array of these";
    case k::sources:
      return "a URL, or an array of URLs";
    case k::text_or_table:
      return "a string or a table";
    case k::tables:
      return "an array of tables";
  }
  return "";
}

std::string type_remedy(const value& v, const key& row, const std::string& name) {
  if ((row.kind == k::texts || row.kind == k::commands) && v.is(t::text)) {
    if (row.kind == k::texts && !name.ends_with("command")) return "; write [\"" + v.text + "\"]";
    std::string argv;
    std::string_view left = v.text;
    while (!left.empty()) {  // only a proposal, so blanks are good enough
      const auto end = left.find(' ');
      if (end != 0) argv += (argv.empty() ? "\"" : ", \"") + std::string(left.substr(0, end)) + "\"";
      if (end == std::string_view::npos) break;
      left.remove_prefix(end + 1);
    }
    return "; no shell is involved: write [" + argv + "]";
  }
  if (row.kind == k::duration && (v.is(t::integer) || v.is(t::real)))
    return "; write \"" + scalar_text(v).value_or("") + "s\" for seconds";
  if (row.kind == k::tables && v.is(t::table)) return "; write [[" + name + "]] with two brackets";
  if (row.kind == k::boolean && v.is(t::text)) return "; true and false stand without quotes";
  if (row.kind == k::integer && v.is(t::text)) return "; numbers stand without quotes";
  if ((row.kind == k::text || row.kind == k::name) && is_scalar(v))
    return "; write \"" + scalar_text(v).value_or("") + "\"";
  return "";
}

class checker {
 public:
  checker(std::span<const key> keys, const schema_options& options, report& findings)
      : keys_(keys), options_(options), findings_(findings) {}

  void table(value& v, const schema_node& node, const std::string& path) {
    const auto extras = options_.extras.find(path);
    for (auto& m : v.members) {
      const auto* child = node.find(m.key);
      if (child == nullptr) child = node.find("*");
      if (child != nullptr && child->row != nullptr) {
        member_of(m, *child, path.empty() ? m.key : path + "." + m.key);
      } else if (extras != options_.extras.end() && extras->second.contains(m.key)) {
        parameter(m);
      } else if (!options_.open_paths.contains(path)) {
        unknown(m, node, path, extras == options_.extras.end() ? nullptr : &extras->second);
      }
    }
  }

 private:
  void bad(value& v, const place& at, std::string message) {
    findings_.error(at, std::move(message));
    v.broken = true;
  }

  void unknown(member& m, const schema_node& node, const std::string& path, const std::set<std::string>* extras) {
    std::vector<std::string_view> siblings;
    for (const auto& [n, c] : node.children)
      if (n != "*" && c->row != nullptr && c->row->when == availability::now) siblings.push_back(n);
    if (extras != nullptr) siblings.insert(siblings.end(), extras->begin(), extras->end());
    const auto hint = suggest_key(path, m.key, siblings, keys_);
    bad(m.content, m.key_place, "unknown key \"" + m.key + "\"" + hint);
  }

  void parameter(member& m) {
    if (!is_scalar(m.content))
      bad(m.content, m.content.where,
          "parameter \"" + m.key + "\" must be a string, a number or a boolean, not " +
              std::string(type_name(m.content.type)));
  }

  void member_of(member& m, const schema_node& node, const std::string& path) {
    const auto& row = *node.row;
    auto& v = m.content;
    if (v.broken) return;
    if (row.when == availability::not_yet) {
      return bad(v, m.key_place, "\"" + path + "\" is not available in this version yet");
    }
    if (!has_type(v, row.kind)) {
      const auto what = v.is(t::array) && row.kind != k::integer && !v.items.empty() ? mixed(v, row)
                                                                                     : std::string(type_name(v.type));
      return bad(v, v.where,
                 "\"" + m.key + "\" must be " + expected(row) + ", not " + what + type_remedy(v, row, m.key));
    }
    content(m, row);
    if (v.broken) return;
    if (row.kind == k::table || row.kind == k::text_map || (row.kind == k::text_or_table && v.is(t::table)))
      table(v, node, path);
    if (row.kind == k::sources && v.is(t::table)) table(v, node, path);
    if (row.kind == k::tables || row.kind == k::sources) {
      for (auto& item : v.items)
        if (item.is(t::table)) table(item, node, path);
    }
  }

  // An array of the wrong things: says which.
  std::string mixed(const value& v, const key& row) {
    const auto wanted = row.kind == k::texts || row.kind == k::text_or_texts ? t::text
                        : row.kind == k::integer_or_integers                 ? t::integer
                        : row.kind == k::tables                              ? t::table
                                                                             : t::array;
    for (const auto& item : v.items)
      if (wanted != t::array && !item.is(wanted))
        return "an array with " + std::string(type_name(item.type)) + " in it";
    return "an array";
  }

  void content(member& m, const key& row) {
    auto& v = m.content;
    const auto fail = [&](const base::error& e) { bad(v, v.where, "\"" + m.key + "\": " + e.message); };
    switch (row.kind) {
      case k::duration:
        if (auto d = base::parse_duration(v.text); !d) fail(d.error());
        break;
      case k::limit:
        if (v.is(t::text) && v.text == "unlimited") break;
        [[fallthrough]];
      case k::size:
        if (v.is(t::integer) && v.integer < 0)
          fail({"a size cannot be negative"});
        else if (auto s = base::parse_byte_size(v.text); v.is(t::text) && !s)
          fail(s.error());
        break;
      case k::name:
        if (!model::is_unit_name(v.text))
          fail({"\"" + v.text + "\" is no name; names are [a-z0-9][a-z0-9._-]*, without path and ending"});
        break;
      case k::word:
        word(m, row, v.text);
        break;
      case k::boolean:
        if (!row.words.empty()) word(m, row, v.boolean ? "true" : "false");
        break;
      case k::signals:
        signals(m);
        break;
      case k::parameters:
        for (auto& p : v.members) named(p);
        break;
      default:
        break;
    }
  }

  // Values of [vars], [recovery.params] and, as tables, [params]: what the tables hold is checked where they are
  // read.
  void named(member& p) {
    if (!is_variable_name(p.key))
      bad(p.content, p.key_place, "\"" + p.key + "\" is no name; write a letter, then letters, digits, _ or -");
    else if (p.content.is(t::array) || p.content.is(t::time))
      bad(p.content, p.content.where,
          "\"" + p.key + "\" must be a string, a number or a boolean, not " + std::string(type_name(p.content.type)));
  }

  void word(member& m, const key& row, const std::string& text) {
    std::vector<std::string_view> now;
    for (const std::string_view w : row.words) {
      if (w.ends_with('!')) {
        if (w.substr(0, w.size() - 1) == text)
          return bad(m.content, m.content.where,
                     m.key + " = " + (m.content.is(t::text) ? "\"" + text + "\"" : text) +
                         " is not available in this version yet");
      } else {
        if (w == text) return;
        now.push_back(w);
      }
    }
    std::string list;
    for (std::size_t i = 0; i < now.size(); ++i)
      list += (i == 0 ? "" : i + 1 == now.size() ? " or " : ", ") + std::string("\"") + std::string(now[i]) + "\"";
    bad(m.content, m.content.where,
        "\"" + text + "\" is no value of \"" + m.key + "\", which is " + list + suggest_word(text, now));
  }

  void signals(member& m) {
    auto& v = m.content;
    const auto one = [&](const value& s) {
      const auto text = scalar_text(s).value_or("");
      if (!model::parse_signal(text))
        bad(v, s.where, "\"" + m.key + "\": no signal \"" + text + "\"; write for example \"TERM\" or \"INT\"");
    };
    if (v.is(t::array))
      std::for_each(v.items.begin(), v.items.end(), one);
    else
      one(v);
  }

  std::span<const key> keys_;
  const schema_options& options_;
  report& findings_;
};

}  // namespace

void check_schema(value& root, std::span<const key> keys, const schema_options& options, report& findings) {
  checker(keys, options, findings).table(root, tree_of(keys), "");
}

}  // namespace hasup::config
