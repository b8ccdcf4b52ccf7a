#include "daemon/setting.hpp"

#include <algorithm>

namespace hasup::daemon {
namespace {

std::string text_of(bool on) {
  return on ? "true" : "false";
}

}  // namespace

std::vector<control::setting_by_hand> by_hand(const config::unit_entry& file, const unit_setting& set) {
  std::vector<control::setting_by_hand> out;
  const bool known = file.valid && !file.instances.empty();
  if (set.enabled)
    out.push_back({"enabled", text_of(*set.enabled), known ? text_of(file.instances.front().enabled) : "",
                   *set.enabled ? "hasup enable" : "hasup disable", "hasup enable " + file.name + " --reset"});
  if (set.instances)
    out.push_back({"instances", std::to_string(*set.instances), known ? std::to_string(file.instances_in_file) : "",
                   "hasup scale", "hasup scale " + file.name + " --reset"});
  return out;
}

void settle(const config::unit_entry& file, unit_setting& set) {
  if (!file.valid || file.instances.empty()) return;
  if (set.enabled == file.instances.front().enabled) set.enabled.reset();
  if (set.instances == file.instances_in_file) set.instances.reset();
}

void settle(const std::map<std::string, config::unit_entry>& files, unit_settings& all) {
  for (auto& [name, set] : all)
    if (const auto file = files.find(name); file != files.end()) settle(file->second, set);
  std::erase_if(all, [](const auto& one) { return one.second.empty(); });
}

std::string settings_text(const std::map<std::string, config::unit_entry>& files, const unit_settings& all) {
  std::string text;
  for (const auto& [name, set] : all) {
    const auto file = files.find(name);
    if (file == files.end()) continue;
    for (const auto& s : by_hand(file->second, set))
      text += name + ": " +
              (s.value == s.in_file
                   ? s.key + " = " + s.value + " by `" + s.by + "`, will be dropped: the file says the same now"
                   : to_text(s)) +
              "\n";
  }
  return text;
}

}  // namespace hasup::daemon
