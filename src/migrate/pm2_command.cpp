#include "migrate/pm2_command.hpp"

#include <algorithm>
#include <set>

namespace hasup::migrate {
namespace {

// What every unit has, see start/launch.cpp.
constexpr std::string_view usual_path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

std::set<std::string> directories_of(std::string_view path) {
  std::set<std::string> out;
  while (!path.empty()) {
    const auto end = path.find(':');
    if (end != 0) out.emplace(path.substr(0, end));
    if (end == std::string_view::npos) break;
    path.remove_prefix(end + 1);
  }
  return out;
}

std::string file_name(const std::string& path) {
  return path.substr(path.rfind('/') + 1);
}
std::string parent(const std::string& path) {
  const auto slash = path.rfind('/');
  return slash == std::string::npos ? std::string() : path.substr(0, slash);
}

bool is_shell(const std::string& path) {
  const auto name = file_name(path);
  return name == "bash" || name == "sh";
}

// The first program that a line starts: "PORT=1 npm start" -> "npm".
std::string first_program(std::string_view line) {
  while (!line.empty()) {
    const auto start = line.find_first_not_of(" \t");
    if (start == std::string_view::npos) return {};
    line.remove_prefix(start);
    const auto end = line.find_first_of(" \t;&|<>");
    const auto word = line.substr(0, end);
    if (word != "exec" && word.find('=') == std::string_view::npos) return std::string(word);
    line.remove_prefix(std::min(word.size(), line.size()));
    if (word.empty()) return {};
  }
  return {};
}

// Programs of nvm, cargo and the like are found by PATH of the shell that ran `pm2 start` alone.
class path_finder {
 public:
  path_finder(const pm2_process& p, const pm2_surroundings& around) : around_(around) {
    if (const auto* path = p.variable("PATH")) path_ = *path;
    usual_ = directories_of(usual_path);
    all_ = directories_of(path_);
  }

  // As a unit can name it: bare where its own PATH finds it, else absolute.
  std::string program(const std::string& name, unit_command& out) {
    if (name.find('/') != std::string::npos) {
      needs(parent(name));
      return name;
    }
    if (around_.find_program(name, std::string(usual_path))) return name;
    const auto found = around_.find_program(name, path_);
    if (!found) {
      out.missing = name;
      return name;
    }
    needs(parent(*found));
    return *found;
  }

  // The directory of a program belongs to PATH when it did so under pm2: what it starts is found there too.
  void needs(const std::string& directory) {
    if (all_.contains(directory) && !usual_.contains(directory)) needed_ = directory;
  }

  [[nodiscard]] std::string path() const { return needed_.empty() ? "" : needed_ + ":" + std::string(usual_path); }

 private:
  const pm2_surroundings& around_;
  std::string path_, needed_;
  std::set<std::string> usual_, all_;
};

}  // namespace

// bash replaces itself by the last program of a plain list. With a pipe, a redirection, a loop … it stays.
bool shell_stays_for(std::string_view line) {
  std::string plain(line);
  for (auto at = plain.find("&&"); at != std::string::npos; at = plain.find("&&", at)) plain.replace(at, 2, "; ");
  if (plain.find_first_of("|&<>()`\n{}") != std::string::npos) return true;
  constexpr std::string_view keywords[]{"while",    "for",    "if", "until", "case",
                                        "function", "select", "!",  "trap",  "time"};
  while (!plain.empty()) {
    const auto end = plain.find(';');
    const auto word = first_program(plain.substr(0, end));
    if (std::find(std::begin(keywords), std::end(keywords), word) != std::end(keywords)) return true;
    if (end == std::string::npos) break;
    plain.erase(0, end + 1);
  }
  return false;
}

unit_command command_of(const pm2_process& p, const pm2_surroundings& around) {
  unit_command out;
  path_finder paths(p, around);
  const auto interpreter = p.interpreter.empty() && p.script.ends_with(".js") ? std::string("node") : p.interpreter;
  const bool direct = interpreter.empty() || interpreter == "none";
  if (direct && is_shell(p.script) && p.arguments.size() >= 2 && p.arguments[0] == "-c") {
    out.shell_line = true;
    out.shell_stays = file_name(p.script) == "sh" || shell_stays_for(p.arguments[1]);
    out.argv = {file_name(p.script)};
    if (const auto first = first_program(p.arguments[1]); !first.empty()) {
      unit_command ignored;  // what a line starts may be a builtin: that it is not found means nothing
      paths.program(first, ignored);
    }
  } else if (direct) {
    out.argv = {p.script};
    paths.needs(parent(p.script));
  } else {
    out.argv = {paths.program(interpreter, out)};
    out.argv.insert(out.argv.end(), p.interpreter_arguments.begin(), p.interpreter_arguments.end());
    out.argv.push_back(p.script);
    paths.needs(parent(p.script));
  }
  out.argv.insert(out.argv.end(), p.arguments.begin(), p.arguments.end());
  out.path = paths.path();
  return out;
}

}  // namespace hasup::migrate
