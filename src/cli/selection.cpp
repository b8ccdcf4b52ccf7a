// From typed names to instances.
#include "cli/selection.hpp"

#include <algorithm>

#include "base/suggestion.hpp"
#include "model/unit_name.hpp"

namespace hasup::cli {

bool means(const std::string& target, const control::instance_status& u) {
  const auto r = model::parse_unit_reference(target);
  return r && r->unit == u.unit && (!r->index || *r->index == u.instance);
}

std::vector<control::instance_status> select(const std::vector<control::instance_status>& all,
                                             const std::vector<std::string>& targets,
                                             std::vector<std::string>& unknown) {
  std::vector<control::instance_status> chosen;
  for (const auto& u : all)
    if (std::any_of(targets.begin(), targets.end(), [&](const auto& t) { return means(t, u); })) chosen.push_back(u);
  for (const auto& t : targets)
    if (std::none_of(all.begin(), all.end(), [&](const auto& u) { return means(t, u); })) unknown.push_back(t);
  return chosen;
}

std::vector<std::string> unit_names(const std::vector<control::instance_status>& all) {
  std::vector<std::string> names;
  for (const auto& u : all)
    if (std::find(names.begin(), names.end(), u.unit) == names.end()) names.push_back(u.unit);
  return names;
}

std::string unknown_unit(const std::string& target, const std::vector<std::string>& names) {
  auto text = "no unit \"" + target + "\"";
  const auto word = target.substr(0, target.find('@'));
  if (std::find(names.begin(), names.end(), word) != names.end()) return text + "; it has no such instance";
  const std::vector<std::string_view> views(names.begin(), names.end());
  const auto better = base::nearest(word, views);
  if (!better.empty()) text += "; did you mean \"" + std::string(better) + "\"?";
  return text;
}

}  // namespace hasup::cli
