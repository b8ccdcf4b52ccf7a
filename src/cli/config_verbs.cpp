// The verbs that read the configuration without the daemon: check, graph, cat.
#include <fmt/format.h>

#include <boost/json.hpp>
#include <fstream>
#include <iterator>
#include <map>
#include <optional>

#include "base/joined.hpp"
#include "cli/machine_check.hpp"
#include "cli/selection.hpp"
#include "cli/verbs.hpp"
#include "config/document.hpp"
#include "config/unit_dir.hpp"
#include "graph/dependency_graph.hpp"
#include "model/unit_name.hpp"

namespace json = boost::json;

namespace hasup::cli {
namespace {

std::string counted(std::size_t n, std::string_view noun) {
  return fmt::format("{} {}{}", n, noun, n == 1 ? "" : "s");
}

std::string check_json(const config::loaded& l, std::size_t errors) {
  json::array units;
  for (const auto& [name, u] : l.units)
    units.emplace_back(json::object{{"unit", name}, {"file", u.file}, {"valid", u.valid}});
  json::array found;
  for (const auto& d : l.problems)
    found.emplace_back(json::object{{"severity", d.level == base::severity::error ? "error" : "warning"},
                                    {"file", d.file},
                                    {"line", d.line},
                                    {"column", d.column},
                                    {"message", d.message}});
  return json::serialize(
             json::object{{"valid", errors == 0}, {"units", std::move(units)}, {"diagnostics", std::move(found)}}) +
         "\n";
}

std::vector<std::string> names_in(const config::loaded& l) {
  std::vector<std::string> names;
  for (const auto& [name, u] : l.units) names.push_back(name);
  return names;
}

graph::dependency_graph graph_of(const config::loaded& l) {
  graph::dependency_graph g;
  for (const auto& [name, entry] : l.units) {
    auto& node = g.nodes[name];
    if (entry.instances.empty()) continue;
    for (const auto& r : entry.instances[0].requires_units) {
      auto label = std::string(model::condition_names.text(r.when));
      if (r.loss != model::on_loss::keep) label += fmt::format(", {} on loss", model::on_loss_names.text(r.loss));
      node.push_back({r.unit, std::move(label)});
    }
  }
  return g;
}

std::string graph_json(const config::loaded& l) {
  json::array units;
  for (const auto& [name, entry] : l.units) {
    json::array required;
    if (!entry.instances.empty())
      for (const auto& r : entry.instances[0].requires_units)
        required.emplace_back(json::object{{"unit", r.unit},
                                           {"condition", model::condition_names.text(r.when)},
                                           {"on_loss", model::on_loss_names.text(r.loss)},
                                           {"exists", l.units.contains(r.unit)}});
    units.emplace_back(json::object{{"unit", name}, {"valid", entry.valid}, {"requires", std::move(required)}});
  }
  return json::serialize(json::object{{"units", std::move(units)}}) + "\n";
}

// The file, or what is made of it, as JSON text: keys in the order of the TOML text.
std::optional<std::string> unit_json(const std::string& file, const std::string& toml) {
  config::report findings;
  const auto tree = config::parse_document(file, toml, findings);
  if (!tree || findings.failed()) return std::nullopt;
  return config::to_json(*tree) + "\n";
}

// What a person set over the file of this unit: hasupd knows, when it is there.
std::vector<control::setting_by_hand> set_by_hand(const context& c, const std::string& unit) {
  const auto now = c.daemon.status();
  if (!now) return {};
  for (const auto& u : now->units)
    if (u.unit == unit) return u.by_hand;
  return {};
}

// With what counts over the file in its place.
std::string with_settings(const config::unit_entry& u, const std::vector<control::setting_by_hand>& all,
                          bool comments) {
  config::report findings;
  auto tree = config::parse_document(u.file, u.effective_toml, findings);
  std::string said;
  for (const auto& s : all) {
    said += "# " + to_text(s) + "\n";
    if (s.key != "enabled" || !tree) continue;  // instances: when the file was read
    config::value on;
    on.type = config::value_type::boolean;
    on.boolean = s.value == "true";
    tree->set("enabled", std::move(on));
  }
  return (comments ? said : "") + (tree && !all.empty() ? config::to_toml(*tree) : u.effective_toml);
}

}  // namespace

exit_code run_check(const context& c) {
  auto l = c.call.targets.empty() ? config::load(c.dirs) : config::load_files(c.call.targets, c.dirs);
  for (auto& d : machine_warnings(l)) l.problems.push_back(std::move(d));
  std::size_t errors = 0, warnings = 0;
  for (const auto& d : l.problems) ++(d.level == base::severity::error ? errors : warnings);
  if (c.call.json) {
    print(check_json(l, errors));
    return errors > 0 ? exit_code::invalid_configuration : exit_code::done;
  }
  std::string text;
  for (const auto& d : l.problems) text += base::render(d, c.out.colour) + "\n";
  const auto files = l.units.size();
  // Other files than units were named: they were checked, too.
  const auto what =
      files == 0 && !c.call.targets.empty() ? printable(base::joined(c.call.targets)) : counted(files, "unit");
  if (errors + warnings == 0)
    text += files == 0 && c.call.targets.empty()
                ? fmt::format("no units in {}/units\n", c.dirs.config)
                : fmt::format("{}: {}\n", what, paint("no problems", style::green, c.out.colour));
  else
    text += fmt::format("{}, {} in {}\n", counted(errors, "error"), counted(warnings, "warning"), what);
  print(text);
  return errors > 0 ? exit_code::invalid_configuration : exit_code::done;
}

exit_code run_graph(const context& c) {
  const auto l = config::load(c.dirs);
  if (l.units.empty()) complain(c, fmt::format("no units in {}/units", c.dirs.config));
  const auto g = graph_of(l);
  if (c.call.json)
    print(graph_json(l));
  else
    print(c.call.dot ? graph::render_dot(g) : graph::render_text(g));
  std::size_t broken = 0;
  for (const auto& [name, u] : l.units) broken += u.valid ? 0 : 1;
  if (broken == 0) return exit_code::done;
  complain(c, fmt::format("{} broken and drawn without what {}; `hasup check` says why",
                          broken == 1 ? "1 unit is" : fmt::format("{} units are", broken),
                          broken == 1 ? "it requires" : "they require"));
  return exit_code::invalid_configuration;
}

exit_code run_cat(const context& c) {
  const auto r = model::parse_unit_reference(c.call.targets[0]);
  const auto settings = c.call.effective && r ? set_by_hand(c, r->unit) : std::vector<control::setting_by_hand>{};
  std::map<std::string, unsigned> counts;
  for (const auto& s : settings)
    if (s.key == "instances") counts[r->unit] = static_cast<unsigned>(std::stoul(s.value));
  const auto l = config::load(c.dirs, counts);
  const auto found = l.units.find(r ? r->unit : c.call.targets[0]);
  if (found == l.units.end()) {
    complain(c, unknown_unit(c.call.targets[0], names_in(l)));
    return exit_code::no_such_unit;
  }
  const auto& u = found->second;
  const bool no_such_instance = r && r->index && u.valid && *r->index >= u.instances.size();
  if (no_such_instance) {
    complain(c, no_instance(u.name, *r->index, u.instances.size()));
    return exit_code::no_such_unit;
  }
  if (!c.call.effective) {
    std::ifstream in(u.file, std::ios::binary);
    if (!in) {
      complain(c, base::errno_error("open " + u.file).message);
      return errno == EACCES ? exit_code::permission_denied : exit_code::failed;
    }
    const std::string text(std::istreambuf_iterator<char>(in), {});
    if (!c.call.json) {
      print(text);
      return exit_code::done;
    }
    if (const auto object = unit_json(u.file, text)) {
      print(*object);
      return exit_code::done;
    }
    complain(c, u.file + " is no TOML; `hasup check` shows where");
    return exit_code::invalid_configuration;
  }
  if (!u.valid) {
    for (const auto& d : u.problems) print(base::render(d, c.out.colour));
    complain(c, "the file has errors");
    return exit_code::invalid_configuration;
  }
  if (c.call.json) {
    print(unit_json(u.file, with_settings(u, settings, false)).value_or("{}\n"));
    return exit_code::done;
  }
  const auto text = with_settings(u, settings, true);
  print(text.ends_with('\n') ? text : text + "\n");
  return exit_code::done;
}

}  // namespace hasup::cli
