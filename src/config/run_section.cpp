#include "config/run_section.hpp"

#include <algorithm>
#include <cctype>
#include <charconv>

#include "base/suggestion.hpp"
#include "config/paths.hpp"
#include "model/exit_status.hpp"

namespace hasup::config {
namespace {

bool is_account_name(const std::string& text) {
  return !text.empty() && text[0] != '-' && std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-' ||
           c == '.';
  });
}

std::optional<int> octal(const std::string& text, int highest) {
  int bits = 0;
  const auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), bits, 8);
  if (text.empty() || ec != std::errc{} || end != text.data() + text.size() || bits < 0 || bits > highest) return {};
  return bits;
}

void read_umask(const section& s, std::optional<int>& out) {
  const auto* v = s.raw("umask");
  if (v == nullptr) return;
  out = octal(v->text, 0777);
  if (!out) s.error("umask", "\"umask\" is octal, from \"000\" to \"777\"");
}

void read_limits(const section& s, model::limits& out) {
  if (const auto* v = s.raw("open_files")) {
    if (v->integer < 1)
      s.error("open_files", "\"open_files\" must be at least 1");
    else
      out.open_files = static_cast<std::uint64_t>(v->integer);
  }
  const auto size = [&](const char* key, std::optional<std::uint64_t>& to) {
    if (s.raw(key) == nullptr) return;
    std::uint64_t bytes = 0;
    s.read_size(key, bytes);
    if (bytes < 1U << 20)
      s.error(key, "\"" + std::string(key) + "\" must be at least 1MiB");
    else
      to = bytes;
  };
  const auto number = [&](const char* key, int high, std::optional<std::uint64_t>& to) {
    int n = 0;
    if (s.raw(key) == nullptr) return;
    s.read(key, 1, high, n);
    if (n > 0) to = static_cast<std::uint64_t>(n);
  };
  size("memory_restart", out.memory_restart);
  size("memory_max", out.memory_max);
  number("cpu_weight", 10'000, out.cpu_weight);
  number("pids", 4'194'304, out.pids);
  if (out.memory_restart && out.memory_max && *out.memory_restart >= *out.memory_max)
    s.error("memory_restart", "\"memory_restart\" must be below \"memory_max\", or the kernel is always faster");
  s.read_limit("memlock", out.memlock);
  s.read_limit("stack", out.stack);
  s.read_limit("core", out.core);
  if (s.raw("nice") != nullptr) {
    int nice = 0;
    s.read("nice", -20, 19, nice);
    out.nice = nice;
  }
  s.read("oom_score_adjust", -1000, 1000, out.oom_score_adjust);
}

void read_env(const section& s, model::run_spec& out) {
  s.read("env", out.env);
  if (const auto* env = s.raw("env")) {
    for (const auto& m : env->members)
      if (m.key.empty() || m.key.find('=') != std::string::npos)
        s.findings().error(m.key_place, "\"" + m.key + "\" is no name of an environment variable");
  }
  s.read("env_file", out.env_files);
  for (const auto& file : out.env_files)
    if (!file.starts_with('/') && !file.starts_with("-/"))
      s.error("env_file", "\"" + file + "\" in \"env_file\" must be an absolute path");
}

void check_program(const section& s, std::string_view key, const std::vector<std::string>& argv) {
  if (s.raw(key) == nullptr) return;
  if (argv.empty() || argv[0].empty()) return s.error(key, "\"" + std::string(key) + "\" names no program");
  if (argv.size() == 1 && argv[0].find(' ') != std::string::npos)
    s.findings().warning(s.where(key), "the program's name holds a blank; arguments are strings of their own: [\"" +
                                           argv[0].substr(0, argv[0].find(' ')) + "\", …]");
}

void read_capabilities(const section& s, model::capability_set& out) {
  const auto* v = s.raw("capabilities");
  if (v == nullptr) return;
  for (const auto& item : v->items) {
    if (item.broken) continue;
    if (const auto known = model::parse_capability(item.text)) {
      out |= *known;
      continue;
    }
    std::string upper = item.text;
    std::transform(upper.begin(), upper.end(), upper.begin(),
                   [](unsigned char c) { return c == '-' ? '_' : static_cast<char>(std::toupper(c)); });
    if (upper.starts_with("CAP_")) upper.erase(0, 4);
    const auto near = base::nearest(upper, model::capability_names);
    s.findings().error(item.where, "\"" + item.text + "\" is no capability" +
                                       (near.empty() ? "; capabilities(7) lists them"
                                                     : "; did you mean \"" + std::string(near) + "\"?"));
  }
}

void read_directory(const section& s, const value& item, std::vector<model::wanted_directory>& out) {
  if (item.broken) return;
  model::wanted_directory d;
  const value* path = &item;
  if (item.is(value_type::table)) {
    for (const auto& m : item.members)
      if (m.key != "path" && m.key != "mode")
        return s.findings().error(m.key_place,
                                  "unknown key \"" + m.key + "\"; a directory has \"path\" and \"mode\"");
    path = item.find("path");
    if (path == nullptr || !path->is(value_type::text))
      return s.findings().error(item.where, "a directory needs \"path\"");
    if (const auto* mode = item.find("mode"); mode != nullptr && !mode->broken) {
      const auto bits = mode->is(value_type::text) ? octal(mode->text, 07777) : std::nullopt;
      if (!bits) return s.findings().error(mode->where, "\"mode\" is octal, in quotes: \"0750\"");
      d.mode = static_cast<unsigned>(*bits);
    }
  }
  if (path->broken) return;
  d.path = normal_path(path->text);
  if (!path->text.starts_with('/') || d.path == "/")
    return s.findings().error(path->where, "\"" + path->text + "\" must be an absolute path");
  const auto same = [&](const model::wanted_directory& o) { return o.path == d.path; };
  if (std::any_of(out.begin(), out.end(), same))
    return s.findings().error(path->where, "\"" + path->text + "\" is there twice");
  out.push_back(std::move(d));
}

void read_directories(const section& s, std::vector<model::wanted_directory>& out) {
  const auto* v = s.raw("create_directories");
  if (v == nullptr) return;
  if (!v->is(value_type::array)) return read_directory(s, *v, out);
  for (const auto& item : v->items) read_directory(s, item, out);
}

}  // namespace

void read_run(const section& s, model::run_spec& out) {
  s.read("command", out.command);
  check_program(s, "command", out.command);
  s.read("user", out.user);
  if (s.raw("user") != nullptr && !is_account_name(out.user)) s.error("user", "\"" + out.user + "\" is no user name");
  s.read("groups", out.groups);
  for (const auto& g : out.groups)
    if (!is_account_name(g)) s.error("groups", "\"" + g + "\" is no group name");
  s.read_absolute("directory", out.directory);
  read_env(s, out);
  read_directories(s, out.create_directories);
  read_capabilities(s, out.capabilities);
  s.read("pre_start", out.pre_start);
  s.read("post_start", out.post_start);
  s.read("stop_command", out.stop_command);
  s.read("post_stop", out.post_stop);
  s.read("check_command", out.check_command);
  s.read("hook_timeout", out.hook_timeout);
  const auto signal = [&](std::string_view key) -> std::optional<int> {
    const auto* v = s.raw(key);
    return v == nullptr ? std::nullopt : model::parse_signal(scalar_text(*v).value_or(""));
  };
  out.stop_signal = signal("stop_signal").value_or(out.stop_signal);
  out.reload_signal = signal("reload_signal");
  if (out.stop_signal == 9)
    s.findings().warning(s.where("stop_signal"),
                         "KILL lets the node save nothing; a node's state will be dirty after each stop");
  s.read("drain_time", out.drain_time);
  s.read("stop_timeout", out.stop_timeout);
  s.read("start_timeout", out.start_timeout);
  if (out.start_timeout.count() == 0) s.error("start_timeout", "\"start_timeout\" must be more than 0");
  read_umask(s, out.umask);
  read_limits(s.sub("limits"), out.limit);
}

}  // namespace hasup::config
