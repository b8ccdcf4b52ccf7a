#include "config/paths.hpp"

#include <algorithm>

namespace hasup::config {
namespace {

std::string env_or_empty(const surroundings& around, const char* name) {
  const auto v = around.env(name);
  return v ? *v : std::string();
}

// The XDG rule: a relative value is ignored.
std::string absolute_env(const surroundings& around, const char* name) {
  auto v = env_or_empty(around, name);
  return v.starts_with('/') ? normal_path(v) : std::string();
}

std::string from_here(const surroundings& around, const std::string& path) {
  return normal_path(path.starts_with('/') ? path : around.working_dir + "/" + path);
}

std::vector<std::string> share_directories(const surroundings& around) {
  if (const auto share = env_or_empty(around, "HASUP_SHARE"); !share.empty()) return {from_here(around, share)};
  std::vector<std::string> out;
  const auto installed = normal_path(around.program_dir + "/../share/hasup");
  if (around.is_directory(installed)) out.push_back(installed);
  const auto source_tree = normal_path(around.program_dir + "/../../..");
  if (around.is_directory(source_tree + "/recipes") && around.is_directory(source_tree + "/units"))
    out.push_back(source_tree);
  return out;
}

base::result<directories> user_directories(const surroundings& around) {
  directories d;
  const auto home = absolute_env(around, "HOME");
  const auto below_home = [&](const char* name, const char* fallback) {
    auto base = absolute_env(around, name);
    if (base.empty() && !home.empty()) base = home + fallback;
    return base.empty() ? base : base + "/hasup";
  };
  d.config = below_home("XDG_CONFIG_HOME", "/.config");
  d.state = below_home("XDG_STATE_HOME", "/.local/state");
  if (d.config.empty() || d.state.empty())
    return base::error{"no home directory: HOME is not set to an absolute path; set it, or set HASUP_HOME"};
  d.log = d.state + "/log";
  const auto run = absolute_env(around, "XDG_RUNTIME_DIR");
  const auto usual = "/run/user/" + std::to_string(around.uid);
  if (!run.empty())
    d.run = run + "/hasup";
  else
    d.run = around.is_directory(usual) ? usual + "/hasup" : d.state + "/run";
  return d;
}

}  // namespace

std::string normal_path(std::string_view path) {
  std::string out;
  while (!path.empty()) {
    const auto end = path.find('/');
    const auto step = path.substr(0, end);
    path.remove_prefix(end == std::string_view::npos ? path.size() : end + 1);
    if (step.empty() || step == ".") continue;
    if (step == "..") {
      out.erase(std::min(out.rfind('/'), out.size()));  // above the root is the root
      continue;
    }
    out += '/';
    out += step;
  }
  return out.empty() ? "/" : out;
}

base::result<directories> find_directories(const surroundings& around) {
  directories d;
  if (const auto home = env_or_empty(around, "HASUP_HOME"); !home.empty()) {
    const auto at = from_here(around, home);
    d.config = at + "/etc";
    d.state = at + "/state";
    d.run = at + "/run";
    d.log = at + "/log";
  } else if (around.uid == 0) {
    d.config = "/etc/hasup";
    d.state = "/var/lib/hasup";
    d.run = "/run/hasup";
    d.log = "/var/log/hasup";
  } else {
    auto user = user_directories(around);
    if (!user) return user.error();
    d = std::move(*user);
  }
  d.share = share_directories(around);
  return d;
}

}  // namespace hasup::config
