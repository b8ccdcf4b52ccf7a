#include "config/unit_variables.hpp"

#include <array>
#include <map>
#include <vector>

#include "base/cycle.hpp"
#include "config/variables.hpp"

namespace hasup::config {
namespace {

constexpr std::string_view data_dir = "data.dir";

// Works out what every variable is, in whatever order they name each other.
class resolver {
 public:
  resolver(const value& root, const instance_of& who, const upstream_values& upstreams, report& findings)
      : findings_(findings) {
    for (const auto& [name, text] : upstreams.chosen) scope_.names[name] = {text, false, true};
    for (const auto& [name, text] : upstreams.of_all)
      scope_.names[name] = {text, false, upstreams.of_addresses.contains(name)};
    for (const auto& name : upstreams.failed) fail(name);
    scope_.names["unit"] = {who.unit, false};
    scope_.names["instance"] = {std::to_string(who.index), who.count > 1};
    scope_.placeholder_remedy = "; for a token in a header use header_file";
    collect(root);
  }

  scope take() {
    report_loops();
    for (const auto& [name, v] : written_) resolve(name);
    for (const auto& name : unreadable_) {  // only now, when all names are known that could have been meant
      const auto& v = *written_.at(name);
      scope_.names.erase(name);
      if (const auto filled = expand(scalar_text(v).value_or(""), scope_); !filled)
        findings_.error(place_of(v, filled.error().token), filled.error().message);
    }
    for (const auto& name : unreadable_) scope_.names[name] = {};
    return std::move(scope_);
  }

 private:
  void collect(const value& root) {
    if (const auto* vars = root.find("vars"); vars != nullptr && vars->is(value_type::table)) {
      for (const auto& m : vars->members) {
        if (scope_.names.contains(m.key))
          findings_.error(m.key_place, "\"" + m.key + "\" is hasup's own variable; choose another name");
        else if (!scalar_text(m.content) || m.content.is(value_type::time))
          findings_.error(m.content.where, "a variable must be a string, a number or a boolean, not " +
                                               std::string(type_name(m.content.type)));
        else if (is_variable_name(m.key))
          written_[m.key] = &m.content;
      }
    }
    if (const auto* data = root.find("data"))
      if (const auto* dir = data->find("dir"); dir != nullptr && dir->is(value_type::text))
        written_[std::string(data_dir)] = dir;
  }

  std::set<std::string> written_in(const std::string& text) const {
    return variables_in(
        text, [this](const std::string& name) { return written_.contains(name) || failed_.contains(name); });
  }

  void report_loops() {
    base::named_edges edges;
    for (const auto& [name, v] : written_)
      for (const auto& used : written_in(scalar_text(*v).value_or("")))
        if (written_.contains(used)) edges[name].push_back(used);
    for (const auto& loop : base::find_cycles(edges)) {
      const auto& v = *written_.at(loop.front());
      findings_.error(v.where, "variables form a loop: " + base::cycle_text(loop));
      for (const auto& name : loop) fail(name);
    }
  }

  void fail(const std::string& name) {
    scope_.names[name] = {};
    failed_.insert(name);
  }

  void resolve(const std::string& name) {
    if (scope_.names.contains(name)) return;
    const auto& v = *written_.at(name);
    const auto text = scalar_text(v).value_or("");
    bool broken = false;
    for (const auto& used : written_in(text)) {
      resolve(used);
      broken = broken || failed_.contains(used);
    }
    if (broken) return fail(name);  // the cause has been said
    auto filled = expand(text, scope_);
    if (filled) {
      scope_.names[name] = {std::move(filled->text), filled->per_instance, filled->per_choice};
    } else {
      fail(name);
      if (name != data_dir)
        unreadable_.push_back(name);  // [data] dir is filled in and reported like any other string
    }
  }

  report& findings_;
  scope scope_;
  std::map<std::string, const value*, std::less<>> written_;
  std::set<std::string, std::less<>> failed_;
  std::vector<std::string> unreadable_;

 public:
  [[nodiscard]] const std::set<std::string, std::less<>>& failed() const { return failed_; }
};

bool may_hold_placeholders(const std::string& path) {
  static const std::set<std::string, std::less<>> commands{
      "run.command",   "run.append",        "run.pre_start",       "run.post_start",      "run.stop_command",
      "run.post_stop", "run.check_command", "proxy.check_command", "proxy.reload_command"};
  return commands.contains(path) || path.starts_with("run.env.");
}

// An endpoint may be another one at the next start: it is not for what the unit is, only for how it runs and is
// asked.
bool may_depend_on_choice(const std::string& path) {
  static const std::set<std::string, std::less<>> keys{"run.env_file", "run.directory"};
  return may_hold_placeholders(path) || keys.contains(path) || path.starts_with("startup.") ||
         path.starts_with("readiness.") || path.starts_with("liveness.") || path.starts_with("vars.");
}

struct filling {
  scope plain;
  scope with_placeholders;
  scope of_check;  // of [proxy]: ${candidate} stays
  std::set<std::string, std::less<>> failed;
  report& findings;
};

void fill(value& v, const std::string& path, filling& in) {
  for (auto& item : v.items) fill(item, path, in);
  for (auto& m : v.members) fill(m.content, path.empty() ? m.key : path + "." + m.key, in);
  if (!v.is(value_type::text)) return;
  const auto& names = in.plain.names;
  for (const auto& used : variables_in(v.text, [&](const std::string& name) { return names.contains(name); })) {
    if (in.failed.contains(used)) {
      v.broken = true;
      return;
    }
  }
  auto filled = expand(v.text, path == "proxy.check_command" ? in.of_check
                               : may_hold_placeholders(path) ? in.with_placeholders
                                                             : in.plain);
  if (filled && filled->per_choice && !may_depend_on_choice(path)) {
    in.findings.error(v.where,
                      "what depends on the endpoint of an upstream can stand only in the commands and the "
                      "environment of [run], in directory, [vars] and the probes");
    v.broken = true;
  } else if (filled) {
    v.text = std::move(filled->text);
  } else {
    in.findings.error(place_of(v, filled.error().token), filled.error().message);
    v.broken = true;
  }
}

value fill_tree(const value& root, const instance_of& who, const upstream_values& upstreams, bool symbolic,
                report& findings) {
  resolver variables(root, who, upstreams, findings);
  auto names = variables.take();
  names.symbolic = symbolic;
  auto with_placeholders = names;
  with_placeholders.placeholders = true;
  auto of_check = with_placeholders;
  of_check.kept_prefix = "candidate";
  filling in{std::move(names), std::move(with_placeholders), std::move(of_check), variables.failed(), findings};
  auto out = root;
  for (auto& m : out.members) {
    if (m.key == "upstream") continue;
    if (m.key != "vars") {
      fill(m.content, m.key, in);
    } else if (symbolic) {
      std::erase_if(m.content.members, [&](const member& v) {
        const auto it = in.plain.names.find(v.key);
        return it == in.plain.names.end() || !(it->second.per_instance || it->second.per_choice);
      });
      fill(m.content, m.key, in);
    }
  }
  if (const auto* vars = out.find("vars"); symbolic && vars != nullptr && vars->members.empty()) out.erase("vars");
  return out;
}

}  // namespace

value fill_variables(const value& root, const instance_of& who, const upstream_values& upstreams, report& findings) {
  return fill_tree(root, who, upstreams, false, findings);
}

value fill_common_variables(const value& root, const instance_of& who, const upstream_values& upstreams) {
  report unheard;  // said already, for the instances
  return fill_tree(root, {who.unit, 0, who.count}, upstreams, true, unheard);
}

}  // namespace hasup::config
