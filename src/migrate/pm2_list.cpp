#include "migrate/pm2_list.hpp"

#include <algorithm>
#include <boost/json.hpp>
#include <charconv>
#include <cmath>

namespace json = boost::json;

namespace hasup::migrate {
namespace {

std::string text_of(const json::value& v) {
  if (v.is_string()) return std::string(v.as_string());
  if (v.is_double() && v.as_double() == std::floor(v.as_double()) && std::abs(v.as_double()) < 9e15)
    return std::to_string(static_cast<std::int64_t>(v.as_double()));
  return json::serialize(v);
}

std::string text_at(const json::object& o, std::string_view key) {
  const auto* v = o.if_contains(key);
  return v == nullptr || v->is_null() || v->is_structured() ? std::string() : text_of(*v);
}

// A number, also one in quotes; nothing for null and for what is no number.
std::optional<std::int64_t> number_at(const json::object& o, std::string_view key) {
  const auto text = text_at(o, key);
  double number = 0;
  const auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (text.empty() || ec != std::errc{} || end != text.data() + text.size() || !(std::abs(number) < 9e15))
    return std::nullopt;
  return static_cast<std::int64_t>(number);
}

bool flag_at(const json::object& o, std::string_view key, bool otherwise) {
  const auto* v = o.if_contains(key);
  if (v == nullptr || v->is_null()) return otherwise;
  if (v->is_array()) return !v->as_array().empty();  // watch: the paths
  const auto text = text_of(*v);
  return text != "false" && text != "0" && !text.empty();
}

// As pm2 splits arguments that were given as one text: at blanks outside quotes.
std::vector<std::string> split_words(std::string_view text) {
  std::vector<std::string> out;
  std::string word;
  bool inside = false;
  char quote = 0;
  for (const char c : text) {
    if (quote != 0) {
      if (c == quote)
        quote = 0;
      else
        word += c;
    } else if (c == '"' || c == '\'') {
      quote = c;
      inside = true;
    } else if (c == ' ' || c == '\t' || c == '\n') {
      if (inside) out.push_back(std::move(word));
      word.clear();
      inside = false;
    } else {
      word += c;
      inside = true;
    }
  }
  if (inside) out.push_back(std::move(word));
  return out;
}

std::vector<std::string> texts_at(const json::object& o, std::string_view key) {
  const auto* v = o.if_contains(key);
  if (v == nullptr || v->is_null()) return {};
  if (!v->is_array())
    return v->is_string() ? split_words(std::string_view(v->as_string())) : std::vector<std::string>{};
  std::vector<std::string> out;
  for (const auto& item : v->as_array()) out.push_back(text_of(item));
  return out;
}

std::vector<int> codes_at(const json::object& o, std::string_view key) {
  std::vector<int> out;
  const auto add = [&](const json::value& v) {
    const auto n = number_at({{"n", v}}, "n");
    if (n && *n >= 0 && *n <= 255) out.push_back(static_cast<int>(*n));
  };
  const auto* v = o.if_contains(key);
  if (v == nullptr || v->is_null()) return out;
  if (!v->is_array()) {
    add(*v);
    return out;
  }
  for (const auto& item : v->as_array()) add(item);
  return out;
}

void read_environment(const json::object& o, pm2_process& p) {
  const auto* env = o.if_contains("env");
  if (env == nullptr || !env->is_object()) return;
  for (const auto& [key, v] : env->as_object()) {
    const std::string name(key);
    if (name == p.name) continue;  // pm2's place for the settings of a module
    if (v.is_structured())
      p.env_without_text.push_back(name);
    else
      p.env.emplace_back(name, text_of(v));
  }
}

std::optional<std::uint64_t> size_at(const json::object& o, std::string_view key) {
  const auto bytes = number_at(o, key);
  if (!bytes || *bytes <= 0) return std::nullopt;
  return static_cast<std::uint64_t>(*bytes);
}

pm2_process read_process(const json::object& o) {
  pm2_process p;
  p.name = text_at(o, "name");
  p.name_space = text_at(o, "namespace");
  p.module = flag_at(o, "pmx_module", false);
  p.script = text_at(o, "pm_exec_path");
  p.interpreter = text_at(o, "exec_interpreter");
  p.interpreter_arguments = texts_at(o, "node_args");
  if (p.interpreter_arguments.empty()) p.interpreter_arguments = texts_at(o, "interpreter_args");
  p.arguments = texts_at(o, "args");
  p.directory = text_at(o, "pm_cwd");
  p.cluster = text_at(o, "exec_mode").starts_with("cluster");
  p.username = text_at(o, "username");
  p.uid = text_at(o, "uid");
  p.gid = text_at(o, "gid");
  if (const auto variable = text_at(o, "instance_var"); !variable.empty()) p.instance_variable = variable;
  p.instance = number_at(o, p.instance_variable).value_or(0);
  read_environment(o, p);
  p.autostart = flag_at(o, "autostart", true);
  p.autorestart = flag_at(o, "autorestart", true);
  p.status = text_at(o, "status");
  p.stop_exit_codes = codes_at(o, "stop_exit_codes");
  p.max_restarts = number_at(o, "max_restarts");
  p.min_uptime = number_at(o, "min_uptime");
  p.restart_delay = number_at(o, "restart_delay");
  p.backoff_delay = number_at(o, "exp_backoff_restart_delay");
  p.kill_timeout = number_at(o, "kill_timeout");
  p.max_memory = size_at(o, "max_memory_restart");
  p.cron = text_at(o, "cron_restart");
  if (p.cron == "0" || p.cron == "false") p.cron.clear();  // pm2's way to take it back
  p.wait_ready = flag_at(o, "wait_ready", false);
  p.watch = flag_at(o, "watch", false);
  p.tree_kill = flag_at(o, "treekill", true);
  p.output_log = text_at(o, "pm_out_log_path");
  p.error_log = text_at(o, "pm_err_log_path");
  p.pid_file = text_at(o, "pm_pid_path");
  return p;
}

// pm2 writes its banner and warnings before the list.
std::string_view without_greeting(std::string_view text) {
  const auto start = std::min(text.find("[{"), text.find("[]"));
  return start == std::string_view::npos ? text : text.substr(start);
}

base::error no_list(const std::string& why) {
  return {why + "; expected pm2's dump.pm2 (written by `pm2 save`) or the output of `pm2 jlist`"};
}

}  // namespace

const std::string* pm2_process::variable(std::string_view name_of) const {
  const auto it = std::find_if(env.begin(), env.end(), [&](const auto& v) { return v.first == name_of; });
  return it == env.end() ? nullptr : &it->second;
}

base::result<std::vector<pm2_process>> parse_pm2_list(std::string_view text) {
  boost::system::error_code ec;
  auto list = json::parse(json::string_view(text.data(), text.size()), ec);
  if (ec) {
    boost::system::error_code again;
    const auto rest = without_greeting(text);
    list = json::parse(json::string_view(rest.data(), rest.size()), again);
    if (again) return no_list("not JSON (" + ec.message() + ")");
  }
  if (!list.is_array()) return no_list("no JSON array");
  std::vector<pm2_process> out;
  for (const auto& item : list.as_array()) {
    const auto place = "process " + std::to_string(out.size() + 1);
    if (!item.is_object()) return no_list(place + " is no object");
    const auto* inner = item.as_object().if_contains("pm2_env");
    const auto& o = inner != nullptr && inner->is_object() ? inner->as_object() : item.as_object();
    auto p = read_process(o);
    if (p.name.empty()) p.name = text_at(item.as_object(), "name");
    if (p.script.empty()) return no_list(place + " has no pm_exec_path");
    out.push_back(std::move(p));
  }
  return out;
}

}  // namespace hasup::migrate
