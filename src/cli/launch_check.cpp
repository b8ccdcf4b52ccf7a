#include "cli/launch_check.hpp"

#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>

#include "start/launch.hpp"

namespace hasup::cli {
namespace {

enum class found { runs, no_program, nothing, unknown };

found look_at(const std::string& path) {
  struct stat st {};
  if (::stat(path.c_str(), &st) != 0)
    return errno == ENOENT || errno == ENOTDIR ? found::nothing : found::unknown;  // not for our eyes
  return S_ISREG(st.st_mode) && (st.st_mode & 0111) != 0 ? found::runs : found::no_program;
}

// As the spawner looks for it. "" = it is there, or nobody can tell.
std::string why_not_run(const std::string& program, const std::string& path) {
  if (program.empty() || program.find("${") != std::string::npos) return {};
  if (program.find('/') != std::string::npos) {
    if (!program.starts_with('/')) return {};  // relative to the directory that it will have
    const auto there = look_at(program);
    if (there == found::nothing) return fmt::format("there is no {} on this machine", program);
    return there == found::no_program ? fmt::format("{} is not executable on this machine", program) : "";
  }
  bool not_executable = false;
  for (std::string_view rest = path; !rest.empty();) {
    const auto directory = rest.substr(0, rest.find(':'));
    rest.remove_prefix(std::min(rest.size(), directory.size() + 1));
    if (!directory.starts_with('/')) continue;
    const auto there = look_at(std::string(directory) + "/" + program);
    if (there == found::runs || there == found::unknown) return {};
    not_executable = not_executable || there == found::no_program;
  }
  return fmt::format("there is no {}\"{}\" in the PATH of the unit on this machine ({})",
                     not_executable ? "executable " : "", program, path);
}

// The PATH that it will have; without what cannot be read now.
std::string path_of(const model::unit& unit, const launch_warning& warn) {
  const auto ready = start::prepare_launch(unit);
  std::string path;
  if (ready) {
    path = ready->env.at("PATH");
  } else {
    const auto& wrong = ready.error().message;
    if (wrong.starts_with("there is no user"))
      warn("run", "user", "on this machine " + wrong);
    else if (wrong.starts_with("there is no group"))
      warn("run", "groups", "on this machine " + wrong);
    else if (wrong.starts_with("env_file") && ready.error().code == ENOENT)
      warn("run", "env_file", "on this machine: " + wrong);
    path = start::launch_as({}).env.at("PATH");
  }
  const auto own = unit.run.env.find("PATH");
  return own == unit.run.env.end() ? path : own->second;
}

// Made before a start, or of the state, which has rules of its own.
bool comes_later(const model::unit& unit, const std::string& directory) {
  const auto& made = unit.run.create_directories;
  const auto inside = [&](const std::string& of) {
    return !of.empty() && (directory == of || directory.starts_with(of + "/"));
  };
  return inside(unit.data.dir) || std::any_of(unit.data.also.begin(), unit.data.also.end(), inside) ||
         std::any_of(made.begin(), made.end(), [&](const auto& d) { return d.path == directory; });
}

}  // namespace

void check_launch(const model::unit& unit, const launch_warning& warn) {
  const auto path = path_of(unit, warn);
  const bool known_path = path.find("${") == std::string::npos;
  const auto program = [&](std::string_view table, std::string_view key, const model::command_line& command) {
    if (command.empty() || (!known_path && command.front().find('/') == std::string::npos)) return;
    if (const auto wrong = why_not_run(command.front(), path); !wrong.empty()) warn(table, key, wrong);
  };
  const auto programs = [&](std::string_view key, const std::vector<model::command_line>& commands) {
    for (const auto& command : commands) program("run", key, command);
  };
  program("run", "command", unit.run.command);
  programs("pre_start", unit.run.pre_start);
  programs("post_start", unit.run.post_start);
  programs("stop_command", unit.run.stop_command);
  programs("post_stop", unit.run.post_stop);
  programs("check_command", unit.run.check_command);
  if (unit.proxy) {
    program("proxy", "check_command", unit.proxy->check_command);
    for (const auto& command : unit.proxy->reload_command) program("proxy", "reload_command", command);
  }
  const auto probe = [&](std::string_view table, const std::optional<model::probe>& asked) {
    if (!asked) return;
    for (const auto& check : asked->checks) program(table, "command", check.command);
  };
  probe("startup", unit.startup);
  probe("readiness", unit.readiness);
  probe("liveness", unit.liveness);
  const auto directory = [&](std::string_view table, std::string_view key, const std::string& at) {
    struct stat st {};
    if (::stat(at.c_str(), &st) != 0) {
      if (errno == ENOENT || errno == ENOTDIR)
        warn(table, key, fmt::format("there is no directory {} on this machine", at));
    } else if (!S_ISDIR(st.st_mode)) {
      warn(table, key, fmt::format("{} is no directory on this machine", at));
    }
  };
  if (!unit.run.directory.empty() && !comes_later(unit, unit.run.directory))
    directory("run", "directory", unit.run.directory);
  for (const auto& mount : unit.data.mounts) directory("data", "mount", mount);
}

}  // namespace hasup::cli
