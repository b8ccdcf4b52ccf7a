#include "start/launch.hpp"

#include <sys/resource.h>

#include <array>
#include <cstdlib>

#include "base/small_file.hpp"
#include "base/trimmed.hpp"
#include "config/variables.hpp"

namespace hasup::start {
namespace {

constexpr std::size_t env_file_limit = 1 << 20;

// As the model has it, and its number.
struct named_limit {
  std::optional<std::uint64_t> model::limits::*value;
  int resource;
};
constexpr std::array named_limits = {
    named_limit{&model::limits::open_files, RLIMIT_NOFILE}, named_limit{&model::limits::memlock, RLIMIT_MEMLOCK},
    named_limit{&model::limits::stack, RLIMIT_STACK}, named_limit{&model::limits::core, RLIMIT_CORE}};

process::rlimit_value to_rlimit(int resource, std::uint64_t value) {
  const std::uint64_t v = value == UINT64_MAX ? RLIM_INFINITY : value;
  return {resource, v, v};
}

process::rlimit_value own_limit(int resource) {
  rlimit own{};
  ::getrlimit(static_cast<__rlimit_resource>(resource), &own);
  return {resource, own.rlim_cur, own.rlim_max};
}

}  // namespace

base::result<std::map<std::string, std::string>> parse_env_file(const std::string& path, std::string_view text) {
  std::map<std::string, std::string> out;
  unsigned number = 0;
  while (!text.empty()) {
    ++number;
    const auto end = text.find('\n');
    auto line = base::trimmed(text.substr(0, end));
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    if (line.empty() || line[0] == '#') continue;
    if (line.starts_with("export ")) line = base::trimmed(line.substr(7));
    const auto equals = line.find('=');
    if (equals == std::string_view::npos || equals == 0)
      return base::error{path + ":" + std::to_string(number) +
                         ": expected KEY=VALUE"};  // never quotes the line: secrets
    auto value = base::trimmed(line.substr(equals + 1));
    if (value.size() >= 2 && (value[0] == '"' || value[0] == '\'') && value.back() == value[0])
      value = value.substr(1, value.size() - 2);
    out[std::string(base::trimmed(line.substr(0, equals)))] = std::string(value);
  }
  return out;
}

launch launch_as(process::account account) {
  launch out;
  out.account = std::move(account);
  out.env = {{"PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"},
             {"HOME", out.account.home},
             {"USER", out.account.name},
             {"LOGNAME", out.account.name},
             {"LANG", "C.UTF-8"}};
  return out;
}

base::result<launch> prepare_launch(const model::unit& unit) {
  auto account = process::resolve_account(unit.run.user, unit.run.groups);
  if (!account) return account.error();
  auto out = launch_as(std::move(*account));
  for (const auto& named : unit.run.env_files) {
    const bool optional = named.starts_with('-');
    const std::string path = optional ? named.substr(1) : named;
    const auto text = base::read_small_file(path, env_file_limit);
    if (!text) {
      if (optional && text.error().code == ENOENT) continue;
      return base::error{"env_file " + text.error().message, text.error().code};
    }
    auto parsed = parse_env_file(path, *text);
    if (!parsed) return parsed.error();
    for (auto& [k, v] : *parsed) {
      out.secrets[k] = v;
      out.env[k] = std::move(v);
    }
  }
  return out;
}

namespace {

config::placeholder_lookup lookup_in(const launch& from) {
  return [&from](std::string_view kind, std::string_view name) -> std::optional<std::string> {
    if (kind == "secret") {
      const auto it = from.secrets.find(std::string(name));
      return it == from.secrets.end() ? std::nullopt : std::optional(it->second);
    }
    const char* value = std::getenv(std::string(name).c_str());
    return value == nullptr ? std::nullopt : std::optional<std::string>(value);
  };
}

}  // namespace

base::result<std::vector<std::string>> fill_command(const std::vector<std::string>& command, const launch& from) {
  std::vector<std::string> out;
  for (const auto& word : command) {
    auto filled = config::fill_secrets(word, lookup_in(from));
    if (!filled) return filled.error();
    out.push_back(std::move(*filled));
  }
  return out;
}

base::result<std::map<std::string, std::string>> environment_of(const model::unit& unit, const launch& from) {
  auto env = from.env;
  for (const auto& [k, v] : unit.run.env) {
    auto filled = config::fill_secrets(v, lookup_in(from));
    if (!filled) return filled.error();
    env[k] = std::move(*filled);
  }
  return env;
}

std::vector<std::string> data_dirs_of(const model::unit& unit) {
  if (unit.data.dir.empty() || !unit.data.shared_with.empty()) return {};
  auto dirs = unit.data.also;
  dirs.insert(dirs.begin(), unit.data.dir);
  return dirs;
}

process::run_request hook_request(const model::unit& unit, const launch& from) {
  process::run_request r;
  r.directory = unit.run.directory.empty() ? "/" : unit.run.directory;
  if (!from.account.own) {
    r.uid = from.account.uid;
    r.gid = from.account.gid;
    r.groups = from.account.groups;
  }
  r.umask = unit.run.umask.value_or(022);
  r.nice = unit.run.limit.nice;
  r.oom_score_adjust = unit.run.limit.oom_score_adjust;
  for (const auto& [value, resource] : named_limits)
    if (const auto& limit = unit.run.limit.*value) r.limits.push_back(to_rlimit(resource, *limit));
  r.capabilities = unit.run.capabilities;
  return r;
}

process::log_settings log_of(const model::unit& unit, const std::string& log_directory) {
  return {log_directory + "/" + model::log_file_name(unit), unit.log.max_size, unit.log.max_files,
          unit.log.max_age.count() > 0};
}

process::adjustment adjustment_to(const model::unit& is) {
  process::adjustment out;
  const auto& limit = is.run.limit;
  for (const auto& [value, resource] : named_limits)
    if (limit.*value) out.limits.push_back(to_rlimit(resource, *(limit.*value)));
  out.nice = limit.nice;
  out.oom_score_adjust = limit.oom_score_adjust;
  out.log = log_of(is, {});
  return out;
}

process::adjustment adjustment_to(const model::unit& was, const model::unit& is) {
  process::adjustment out;
  const auto& before = was.run.limit;
  const auto& now = is.run.limit;
  for (const auto& [value, resource] : named_limits)
    if (before.*value != now.*value)
      out.limits.push_back(now.*value ? to_rlimit(resource, *(now.*value)) : own_limit(resource));
  if (before.nice != now.nice) out.nice = now.nice.value_or(::getpriority(PRIO_PROCESS, 0));
  if (before.oom_score_adjust != now.oom_score_adjust) out.oom_score_adjust = now.oom_score_adjust;
  auto log = log_of(is, {});
  if (log != log_of(was, {})) out.log = std::move(log);
  return out;
}

base::result<process::run_request> make_run_request(const model::unit& unit, const launch& from,
                                                    const std::vector<std::string>& append, std::uint64_t run,
                                                    const std::string& log_directory) {
  auto r = hook_request(unit, from);
  r.run = run;
  auto env = environment_of(unit, from);
  if (!env) return env.error();
  r.env = std::move(*env);
  auto argv = fill_command(unit.run.command, from);
  if (!argv) return argv.error();
  r.argv = std::move(*argv);
  r.argv.insert(r.argv.end(), append.begin(), append.end());
  r.log = log_of(unit, log_directory);
  r.cgroup = from.cgroup;
  r.data_dirs = data_dirs_of(unit);
  return r;
}

}  // namespace hasup::start
