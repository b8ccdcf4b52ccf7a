// From typed names to instances.
#include "cli/selection.hpp"

#include <algorithm>

#include "base/suggestion.hpp"
#include "config/unit_dir.hpp"
#include "model/unit_name.hpp"

namespace hasup::cli {

unit_groups read_groups(const config::directories& dirs) {
  unit_groups groups;
  for (const auto& [name, entry] : config::load(dirs).units)
    if (!entry.instances.empty())
      for (const auto& g : entry.instances[0].groups) groups["@" + g].push_back(name);
  return groups;
}

unit_groups groups_for(const std::vector<std::string>& targets, const config::directories& dirs) {
  const bool any = std::any_of(targets.begin(), targets.end(), [](const auto& t) { return t.starts_with('@'); });
  return any ? read_groups(dirs) : unit_groups{};
}

bool means(const std::string& target, const control::instance_status& u, const unit_groups& groups) {
  if (target.starts_with('@')) {
    const auto g = groups.find(target);
    return g != groups.end() && std::find(g->second.begin(), g->second.end(), u.unit) != g->second.end();
  }
  const auto r = model::parse_unit_reference(target);
  return r && r->unit == u.unit && (!r->index || *r->index == u.instance);
}

std::vector<control::instance_status> select(const std::vector<control::instance_status>& all,
                                             const std::vector<std::string>& targets,
                                             std::vector<std::string>& unknown, const unit_groups& groups) {
  std::vector<control::instance_status> chosen;
  for (const auto& u : all)
    if (std::any_of(targets.begin(), targets.end(), [&](const auto& t) { return means(t, u, groups); }))
      chosen.push_back(u);
  for (const auto& t : targets)
    if (std::none_of(all.begin(), all.end(), [&](const auto& u) { return means(t, u, groups); }))
      unknown.push_back(t);
  return chosen;
}

std::vector<std::string> unit_names(const std::vector<control::instance_status>& all) {
  std::vector<std::string> names;
  for (const auto& u : all)
    if (std::find(names.begin(), names.end(), u.unit) == names.end()) names.push_back(u.unit);
  return names;
}

std::string unknown_unit(const std::string& target, const std::vector<std::string>& names,
                         const unit_groups& groups) {
  if (target.starts_with('@')) {
    auto text = "no unit is in the group \"" + target.substr(1) + "\"";
    std::vector<std::string_view> known;
    for (const auto& [name, units] : groups) known.push_back(name);
    const auto better = base::nearest(target, known);
    return better.empty() ? text : text + "; did you mean \"" + std::string(better) + "\"?";
  }
  auto text = "no unit \"" + target + "\"";
  const auto word = target.substr(0, target.find('@'));
  if (std::find(names.begin(), names.end(), word) != names.end()) return text + "; it has no such instance";
  const std::vector<std::string_view> views(names.begin(), names.end());
  const auto better = base::nearest(word, views);
  if (!better.empty()) text += "; did you mean \"" + std::string(better) + "\"?";
  return text;
}

std::string no_instance(const std::string& unit, unsigned index, std::size_t instances) {
  auto text = "unit \"" + unit + "\" has no instance " + std::to_string(index) + "; ";
  if (instances < 2) return text + "it has one, \"" + unit + "\"";
  return text + "it has " + unit + "@0 to " + unit + "@" + std::to_string(instances - 1);
}

}  // namespace hasup::cli
