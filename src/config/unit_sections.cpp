#include "config/unit_sections.hpp"

#include <algorithm>
#include <charconv>

#include "base/cron.hpp"
#include "config/paths.hpp"
#include "config/section.hpp"
#include "config/source_section.hpp"
#include "model/exit_status.hpp"
#include "model/unit_name.hpp"

namespace hasup::config {
namespace {

void read_data(const section& s, model::data_dirs& out) {
  s.read_absolute("dir", out.dir);
  if (out.dir == "/") s.error("dir", "the data directory cannot be /");
  if (const auto* also = s.raw("also")) {
    for (const auto& item : also->items) {
      if (!item.text.starts_with('/'))
        s.findings().error(item.where, "\"also\" holds absolute paths only");
      else
        out.also.push_back(normal_path(item.text));
    }
  }
  s.read_absolute("mount", out.mount);
  s.read_size("min_free", out.min_free);
  s.read("shared_with", out.shared_with);
  for (const std::string_view key : {"also", "mount", "min_free"})
    if (s.has(key) && !s.has("dir") && !s.has("shared_with"))
      s.error(key, "\"" + std::string(key) + "\" needs \"dir\" beside it");
}

bool is_account_name(const std::string& text) {
  return !text.empty() && text[0] != '-' && std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-' ||
           c == '.';
  });
}

void read_umask(const section& s, std::optional<int>& out) {
  const auto* v = s.raw("umask");
  if (v == nullptr) return;
  int mask = 0;
  const auto& t = v->text;
  const auto [end, ec] = std::from_chars(t.data(), t.data() + t.size(), mask, 8);
  if (t.empty() || ec != std::errc{} || end != t.data() + t.size() || mask < 0 || mask > 0777)
    return s.error("umask", "\"umask\" is octal, from \"000\" to \"777\"");
  out = mask;
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
  s.read("stop_timeout", out.stop_timeout);
  s.read("start_timeout", out.start_timeout);
  if (out.start_timeout.count() == 0) s.error("start_timeout", "\"start_timeout\" must be more than 0");
  read_umask(s, out.umask);
  read_limits(s.sub("limits"), out.limit);
}

void read_restart(const section& s, model::restart_policy& out) {
  s.read("policy", model::restart_when_names, out.policy);
  s.read("success_codes", out.success_codes);
  const auto backoff = s.sub("backoff");
  backoff.read("initial", out.backoff_initial);
  backoff.read("max", out.backoff_max);
  backoff.read("factor", out.backoff_factor);
  backoff.read("jitter", out.backoff_jitter);
  if (!(out.backoff_factor >= 1 && out.backoff_factor <= 1000))
    backoff.error("factor", "\"factor\" must be 1 to 1000");
  if (!(out.backoff_jitter >= 0 && out.backoff_jitter <= 1)) backoff.error("jitter", "\"jitter\" must be 0 to 1");
  if (out.backoff_max < out.backoff_initial) {
    if (backoff.has("max"))
      backoff.error("max", "\"max\" is shorter than \"initial\"");
    else
      out.backoff_max = out.backoff_initial;
  }
  const auto limit = s.sub("start_limit");
  limit.read("count", 0, 1'000'000, out.start_limit_count);
  limit.read("within", out.start_limit_within);
}

void read_requires(const section& root, std::vector<model::requirement>& out) {
  for (const auto& s : root.subs("requires")) {
    model::requirement r;
    if (!s.has("unit")) {
      if (!s.has("upstream") && !s.has("lease")) s.error("unit", "[[requires]] needs \"unit\"");
      continue;
    }
    s.read("unit", r.unit);
    s.read("condition", model::condition_names, r.when);
    s.read("on_loss", model::on_loss_names, r.loss);
    if (s.raw("unit") == nullptr) continue;
    const auto same =
        std::any_of(out.begin(), out.end(), [&](const model::requirement& o) { return o.unit == r.unit; });
    if (same)
      s.error("unit", "\"" + r.unit + "\" is required twice");
    else
      out.push_back(std::move(r));
  }
}

void read_recovery(const section& s, model::recovery_policy& out) {
  s.read("recipe", out.recipe);
  s.read("mode", model::recovery_mode_names, out.mode);
  if (const auto* source = s.raw("source")) read_sources(*source, s.findings(), out.sources);
  s.read("checksum", model::checksum_policy_names, out.checksum);
  const auto budget = s.sub("budget");
  budget.read("count", 0, 1'000'000, out.budget_count);
  budget.read("within", out.budget_within);
  s.read("max_snapshot_age", out.max_snapshot_age);
}

void read_log(const section& s, model::log_policy& out) {
  s.read_size("max_size", out.max_size);
  if (out.max_size < 1024) s.error("max_size", "\"max_size\" must be at least 1KiB");
  s.read("max_files", 0, 10'000, out.max_files);
  s.read("max_age", out.max_age);
  if (s.has("max_age") && out.max_age < std::chrono::minutes(1))
    s.error("max_age", "\"max_age\" must be at least 1m");
  if (s.has("max_total")) {
    s.read_size("max_total", out.max_total);
    if (out.max_total < out.max_size) s.error("max_total", "\"max_total\" must be at least \"max_size\"");
  }
  s.read("compress", out.compress);
  s.read("follow", out.follow);
  for (const auto& path : out.follow)
    if (!path.starts_with('/')) s.error("follow", "\"" + path + "\" in \"follow\" must be an absolute path");
}

void read_schedule(const section& s, std::optional<model::restart_schedule>& out) {
  const auto* v = s.raw("restart");
  if (v == nullptr) return;
  model::restart_schedule schedule;
  const auto fields = s.sub("restart");
  if (v->is(value_type::text))
    schedule.cron = v->text;
  else if (fields.has("cron"))
    fields.read("cron", schedule.cron);
  else
    return s.error("restart", "[schedule] restart needs \"cron\", such as cron = \"0 4 * * *\"");
  const auto parsed = base::parse_cron(schedule.cron);
  if (!parsed) {
    const auto where = v->is(value_type::text) ? s.where("restart") : fields.where("cron");
    return s.findings().error(where, parsed.error().message);
  }
  fields.read("timezone", schedule.timezone);
  fields.read("splay", schedule.splay);
  out = std::move(schedule);
}

void check_together(const section& root, const file_context& context, const model::unit& u) {
  const auto recovery = root.sub("recovery");
  if (!recovery.present()) return;
  if (!u.data.shared_with.empty())
    return recovery.error(
        "", "[recovery] belongs into \"" + u.data.shared_with + "\", whose data this unit opens (data.shared_with)");
  if (!recovery.has("recipe")) return recovery.error("", "[recovery] needs \"recipe\", such as \"nodeos\"");
  const auto data = root.sub("data");
  if (u.data.dir.empty() && (!data.has("dir") || data.raw("dir") != nullptr))
    recovery.error("", "[recovery] needs [data] dir: the directory that is restored");
  if (!recovery.has("source") && u.recovery.mode != model::recovery_mode::off)
    recovery.findings().warning(
        recovery.where(), "[recovery] without \"source\": broken state is recognised, but nothing can restore it");
  const auto limits = root.sub("run").sub("limits");
  if (u.run.limit.memory_max)
    recovery.findings().warning(
        limits.where("memory_max"),
        "above memory_max the kernel kills the node with SIGKILL, which can break its database; "
        "memory_restart ends it in order");
  if (context.root && u.run.user.empty())
    recovery.findings().warning(
        recovery.where(),
        "the node runs as root: set run.user, so that a restored snapshot is unpacked without root's rights");
}

class fnv {
 public:
  void add(std::string_view text) {
    for (const char c : text) byte(static_cast<unsigned char>(c));
    byte(0);
  }
  void add(std::uint64_t n) { add(std::to_string(n)); }
  template <class Range>
  void all(const Range& texts) {
    for (const auto& t : texts) add(t);
    add("\x1f");
  }
  [[nodiscard]] std::uint64_t value() const { return hash_; }

 private:
  void byte(unsigned char b) { hash_ = (hash_ ^ b) * 1099511628211ULL; }
  std::uint64_t hash_ = 14695981039346656037ULL;
};

}  // namespace

void read_unit(const value& tree, const file_context& context, model::unit& out, report& findings) {
  const section root(&tree, findings);
  root.read("description", out.description);
  root.read("enabled", out.enabled);
  root.read("groups", out.groups);
  for (const auto& g : out.groups)
    if (!model::is_unit_name(g)) root.error("groups", "\"" + g + "\" is no group name; use a-z, 0-9, ., _ and -");
  read_data(root.sub("data"), out.data);
  read_run(root.sub("run"), out.run);
  read_restart(root.sub("restart"), out.restart);
  read_requires(root, out.requires_units);
  read_recovery(root.sub("recovery"), out.recovery);
  read_log(root.sub("log"), out.log);
  read_schedule(root.sub("schedule"), out.schedule);
  check_together(root, context, out);
}

std::uint64_t fingerprint_of(const model::unit& u) {
  fnv h;
  h.all(u.run.command);
  h.add(u.run.user);
  h.all(u.run.groups);
  h.add(u.run.directory);
  for (const auto& [name, text] : u.run.env) {
    h.add(name);
    h.add(text);
  }
  h.all(u.run.env_files);
  h.add(u.run.umask ? std::to_string(*u.run.umask) : "");
  const auto limit = [&](const std::optional<std::uint64_t>& l) { h.add(l ? std::to_string(*l) : ""); };
  limit(u.run.limit.open_files);
  limit(u.run.limit.memlock);
  limit(u.run.limit.stack);
  limit(u.run.limit.core);
  h.add(u.run.limit.nice ? std::to_string(*u.run.limit.nice) : "");
  h.add(std::to_string(u.run.limit.oom_score_adjust));
  h.add(u.data.dir);
  h.all(u.data.also);
  h.add(u.log.max_size);
  h.add(u.log.max_files);
  h.add(u.instances > 1 ? "many" : "one");  // changes the name of the log
  return h.value();
}

}  // namespace hasup::config
