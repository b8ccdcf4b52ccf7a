#include "migrate/pm2_units.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "base/duration.hpp"
#include "migrate/env_file.hpp"
#include "migrate/pm2_command.hpp"
#include "migrate/pm2_policy.hpp"
#include "migrate/pm2_secrets.hpp"
#include "migrate/unit_text.hpp"
#include "model/exit_status.hpp"
#include "model/unit_name.hpp"

namespace hasup::migrate {
namespace {

constexpr std::int64_t pm2_kill_timeout = 1600;  // ms; pm2's default
constexpr std::size_t longest_name = 56;         // leaves room for "-2" below the 64 of a unit name
constexpr std::string_view redacted = "\"<redacted>\"";

using process_group = std::vector<const pm2_process*>;

bool same_program(const pm2_process& a, const pm2_process& b) {
  return a.name == b.name && a.script == b.script && a.interpreter == b.interpreter && a.arguments == b.arguments &&
         a.interpreter_arguments == b.interpreter_arguments && a.directory == b.directory;
}

std::vector<process_group> groups_of(const std::vector<pm2_process>& all) {
  std::vector<process_group> out;
  for (const auto& p : all) {
    if (p.module) continue;
    const auto it =
        std::find_if(out.begin(), out.end(), [&](const process_group& g) { return same_program(*g.front(), p); });
    if (it == out.end())
      out.push_back({&p});
    else
      it->push_back(&p);
  }
  for (auto& g : out)
    std::stable_sort(g.begin(), g.end(), [](const auto* a, const auto* b) { return a->instance < b->instance; });
  return out;
}

// Writes one unit file; `redact` = for the eyes of --dry-run.
class writer {
 public:
  writer(const process_group& group, const unit_command& command, const unit_surface& surface,
         const std::string& name, const pm2_surroundings& around, bool redact)
      : group_(group),
        p_(*group.front()),
        command_(command),
        surface_(surface),
        name_(name),
        around_(around),
        redact_(redact) {}

  std::string write() {
    head();
    run();
    variables();
    limits();
    restart();
    schedule();
    rest();
    return out_.text();
  }

 private:
  void head() {
    out_.comment("Written by `hasup import pm2` from pm2's process \"" + p_.name +
                 "\". What could not be carried over stands in the comments.");
    for (const auto& r : surface_.remarks) out_.comment("- " + r + ".");
    if (name_ != p_.name) out_.line("description = " + quoted(p_.name));
    if (!p_.autostart)
      out_.line("enabled = false  # autostart was off in pm2");
    else if (p_.status == "stopped" || p_.status == "errored")
      out_.line("enabled = false  # it was " + p_.status + " in pm2");
    if (!p_.name_space.empty() && p_.name_space != "default")
      out_.line("groups = [" + quoted(unit_name_for(p_.name_space)) + "]  # pm2's namespace");
  }

  std::string toml(const unit_value& v) const { return v.secret && redact_ ? std::string(redacted) : v.toml; }

  void run() {
    out_.section("run");
    std::string words;
    for (const auto& w : surface_.command) words += (words.empty() ? "" : ", ") + toml(w);
    out_.line("command = [" + words + "]");
    if (!command_.missing.empty())
      out_.comment(command_.missing + " was not found on this machine: write its absolute path, or install it.");
    if (!p_.directory.empty()) out_.line("directory = " + quoted(p_.directory));
    user();
    if (!surface_.env_file.empty()) {
      std::vector<std::string> names;
      for (const auto& [name, value] : surface_.env_file) names.push_back(name);
      out_.line("env_file = " + quoted(around_.directory + "/" + name_ + ".env"));
      out_.comment("secrets, mode 0600: " + listed(names));
    }
    if (group_.size() > 1) out_.line(fmt::format("instances = {}", group_.size()));
    stopping();
  }

  void user() {
    const auto who = p_.uid.empty() ? p_.username : p_.uid;
    if (!who.empty() && who != around_.user) {
      if (around_.root)
        out_.line("user = " + quoted(who));
      else
        out_.comment("It ran as user " + who +
                     "; only a hasupd that runs as root can do that: user = " + quoted(who));
    }
    if (p_.gid.empty()) return;
    if (around_.root)
      out_.line("groups = [" + quoted(p_.gid) + "]  # pm2's gid; the first group is that of the user");
    else
      out_.comment("It ran in group " + p_.gid + "; only a hasupd that runs as root can do that.");
  }

  void stopping() {
    const auto* named = p_.variable("PM2_KILL_SIGNAL");
    const auto signal = named != nullptr && model::parse_signal(*named) ? *named : std::string("SIGINT");
    if (command_.shell_stays) {
      out_.comment(
          "pm2 sent " + signal +
          " to bash and all it started; bash itself would hold it back, so hasup sends TERM to bash, and then "
          "to what is left, which has 5 s. For a program that must write its state, end the line with "
          "`exec PROGRAM`, or write it as the command, without bash.");
    } else {
      out_.line("stop_signal = " + quoted(signal.starts_with("SIG") ? signal.substr(3) : signal) + "  # as pm2");
    }
    const auto given = p_.kill_timeout.value_or(0);
    if (given <= 0 || given == pm2_kill_timeout) {
      out_.comment(
          fmt::format("stop_timeout: pm2 killed it {} ms after asking it to stop; here it has hasup's default, "
                      "{}.",
                      pm2_kill_timeout, around_.default_stop_timeout));
    } else {
      out_.line("stop_timeout = " + quoted(base::format_duration(base::duration{given})));
      out_.comment("pm2's kill_timeout. Without this line it has hasup's default, " + around_.default_stop_timeout +
                   ": better where a kill would leave broken state.");
    }
    if (!p_.tree_kill)
      out_.comment("treekill was off in pm2; hasup ends the whole process tree before the next start.");
  }

  void variables() {
    if (!surface_.variables.empty()) out_.section("run.env");
    for (const auto& v : surface_.variables) out_.line(key_text(v.name) + " = " + toml(v));
    if (!surface_.of_shell.empty())
      out_.comment(
          "Left out, because this shell has the same and pm2 keeps the whole shell of `pm2 start`; if the app needs "
          "one of these, add it: " +
          listed(surface_.of_shell) + ".");
    if (!surface_.of_login.empty())
      out_.comment("Left out, because a login has them: " + listed(surface_.of_login) + ".");
  }

  // Active when hasup knows the key, else a comment that says what to write once it does.
  void line_if_accepted(const std::string& key, const std::string& section, const std::string& line,
                        const std::string& remark) {
    if (around_.accepts(key)) {
      out_.section(section);
      if (!remark.empty()) out_.comment(remark);
      out_.line(line);
    } else {
      out_.blank();
      out_.comment("Not available in this version of hasup yet: [" + section + "] " + line);
    }
  }

  void limits() {
    if (!p_.max_memory) return;
    constexpr std::uint64_t mib = 1 << 20;
    const auto size =
        *p_.max_memory % mib == 0 ? fmt::format("\"{}MiB\"", *p_.max_memory / mib) : std::to_string(*p_.max_memory);
    line_if_accepted("run.limits.memory_restart", "run.limits", "memory_restart = " + size,
                     "pm2 counted all resident memory; hasup does not count mapped files.");
  }

  void restart() {
    const auto lines = restart_lines(p_);
    if (lines.empty()) return;
    out_.section("restart");
    for (const auto& l : lines) out_.line(l);
    if (p_.max_restarts && *p_.max_restarts <= 0) out_.comment("max_restarts was 0 in pm2.");
    if (p_.max_restarts && *p_.max_restarts > 0 && p_.autorestart)
      out_.comment(fmt::format("pm2 gave up after {} runs in a row that were shorter than {}.", *p_.max_restarts,
                               base::format_duration(base::duration{p_.min_uptime.value_or(1000)})));
  }

  void schedule() {
    if (p_.cron.empty()) return;
    const auto cron = five_field_cron(p_.cron);
    if (!cron.empty()) return line_if_accepted("schedule.restart", "schedule", "restart = " + quoted(cron), "");
    out_.blank();
    out_.comment("cron_restart \"" + p_.cron +
                 "\" is not carried over: hasup's [schedule] has five fields, without "
                 "seconds.");
  }

  void rest() {
    out_.blank();
    if (p_.wait_ready)
      out_.comment(
          "wait_ready: the app told pm2 when it was ready. hasup asks it: write a [startup] check, such as "
          "kind = \"tcp\" with the address it listens on.");
    if (p_.watch)
      out_.comment("watch: pm2 restarted it when its files changed. hasup does not; say `hasup restart " + name_ +
                   "` after a change.");
    std::vector<std::string> logs;
    for (const auto* p : group_)
      for (const auto& file : {p->output_log, p->error_log})
        if (!file.empty() && file != "/dev/null" && std::find(logs.begin(), logs.end(), file) == logs.end())
          logs.push_back(file);
    if (!logs.empty())
      out_.comment("Its output up to now: " + listed(logs) + ". From now on: `hasup logs " + name_ + "`.");
  }

  const process_group& group_;
  const pm2_process& p_;
  const unit_command& command_;
  const unit_surface& surface_;
  const std::string& name_;
  const pm2_surroundings& around_;
  bool redact_;
  unit_text out_;
};

imported_unit make_unit(const process_group& group, const std::string& name, const pm2_surroundings& around) {
  const auto& p = *group.front();
  const auto command = command_of(p, around);
  const auto surface = surface_of(group, command, around);
  imported_unit u;
  u.name = name;
  u.pm2_name = p.name;
  u.instances = static_cast<unsigned>(group.size());
  u.enabled = p.autostart && p.status != "stopped" && p.status != "errored";
  u.text = writer(group, command, surface, name, around, false).write();
  u.shown_text = writer(group, command, surface, name, around, true).write();
  for (const auto& [variable, value] : surface.env_file) {
    u.env_text += env_file_line(variable, value);
    u.shown_env_text += variable + "=<redacted>\n";
  }
  const auto any_secret = [](const std::vector<unit_value>& all) {
    return std::any_of(all.begin(), all.end(), [](const unit_value& v) { return v.secret; });
  };
  u.is_secret = any_secret(surface.command) || any_secret(surface.variables);
  u.remarks = surface.remarks;
  if (!command.missing.empty()) u.remarks.push_back(command.missing + " was not found on this machine");
  u.kill_timeout = p.kill_timeout.value_or(0) > 0 ? *p.kill_timeout : pm2_kill_timeout;
  return u;
}

std::string free_name(const std::string& wanted, std::set<std::string>& taken) {
  auto name = wanted;
  for (int i = 2; !taken.insert(name).second; ++i) name = wanted + "-" + std::to_string(i);
  return name;
}

}  // namespace

std::string unit_name_for(std::string_view pm2_name) {
  std::string out;
  for (const char c : pm2_name) {
    if (c >= 'A' && c <= 'Z')
      out += static_cast<char>(c - 'A' + 'a');
    else if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' || c == '_' || c == '-')
      out += c;
    else if (!out.empty() && out.back() != '-')
      out += '-';
  }
  out.erase(0, out.find_first_not_of("._-"));
  out.resize(std::min(out.size(), longest_name));
  while (!out.empty() && out.back() == '-') out.pop_back();
  return out.empty() ? "app" : out;
}

pm2_import import_pm2(const std::vector<pm2_process>& processes, const pm2_surroundings& around) {
  pm2_import out;
  for (const auto& p : processes)
    if (p.module)
      out.remarks.push_back("\"" + p.name +
                            "\" is a module of pm2 and becomes no unit; hasup rotates logs by itself");
  const auto groups = groups_of(processes);
  std::set<std::string> taken, names_of_pm2;
  // Names that need no change come first: "web" stays web, and "Web" becomes web-2.
  for (const auto& g : groups)
    if (unit_name_for(g.front()->name) == g.front()->name && names_of_pm2.insert(g.front()->name).second)
      taken.insert(g.front()->name);
  std::set<std::string> used;
  for (const auto& g : groups) {
    const auto& pm2_name = g.front()->name;
    const auto wanted = unit_name_for(pm2_name);
    const bool keeps = wanted == pm2_name && used.insert(pm2_name).second;
    const auto name = keeps ? wanted : free_name(wanted, taken);
    if (name != wanted && wanted == pm2_name)
      out.remarks.push_back(fmt::format(
          "pm2 has several programs of the name \"{}\"; one more of them becomes unit {}", pm2_name, name));
    else if (name != wanted)
      out.remarks.push_back(
          fmt::format("\"{}\" becomes unit {}, because {} is taken by another process", pm2_name, name, wanted));
    else if (name != pm2_name)
      out.remarks.push_back(
          fmt::format("\"{}\" becomes unit {}: names of units are made of a-z, 0-9, ., _ and -", pm2_name, name));
    out.units.push_back(make_unit(g, name, around));
  }
  return out;
}

}  // namespace hasup::migrate
