#include "config/unit_sections.hpp"

#include <algorithm>

#include "base/byte_rate.hpp"
#include "base/cron.hpp"
#include "config/paths.hpp"
#include "config/proxy_section.hpp"
#include "config/run_section.hpp"
#include "config/section.hpp"
#include "config/source_section.hpp"
#include "model/exit_status.hpp"
#include "model/minisign.hpp"
#include "model/unit_name.hpp"

namespace hasup::config {
namespace {

constexpr std::uint64_t least_rate = 16U << 10;  // less is a stall to whoever watches the download

void read_absolutes(const section& s, std::string_view key, std::vector<std::string>& out) {
  const auto* value = s.raw(key);
  if (value == nullptr) return;
  const auto read = [&](const auto& item) {
    if (!item.text.starts_with('/'))
      s.findings().error(item.where, "\"" + std::string(key) + "\" holds absolute paths only");
    else
      out.push_back(normal_path(item.text));
  };
  if (value->items.empty()) {
    if (!value->text.empty()) read(*value);
    return;
  }
  for (const auto& item : value->items) read(item);
}

void read_data(const section& s, model::data_dirs& out) {
  s.read_absolute("dir", out.dir);
  if (out.dir == "/") s.error("dir", "the data directory cannot be /");
  read_absolutes(s, "also", out.also);
  read_absolutes(s, "mount", out.mounts);
  s.read_size("min_free", out.min_free);
  s.read("shared_with", out.shared_with);
  for (const std::string_view key : {"also", "mount", "min_free"})
    if (s.has(key) && !s.has("dir") && !s.has("shared_with"))
      s.error(key, "\"" + std::string(key) + "\" needs \"dir\" beside it");
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
      if (!s.has("upstream") && !s.has("lease")) s.error("unit", "[[requires]] needs \"unit\" or \"upstream\"");
      for (const std::string_view key : {"condition", "on_loss"})
        if (s.has("upstream") && s.has(key))
          s.findings().error(s.key_place(key),
                             "\"" + std::string(key) +
                                 "\" is for a unit: a start waits until an endpoint of the upstream "
                                 "is healthy, and what runs keeps the one that it has");
      continue;
    }
    if (s.has("upstream")) s.error("upstream", "a unit and an upstream are required by a [[requires]] each");
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

void read_rate(const section& s, std::uint64_t& out) {
  const auto* given = s.raw("max_rate");
  if (given == nullptr || given->broken) return;
  const auto rate = base::parse_byte_rate(given->text);
  if (!rate)
    s.error("max_rate", "\"max_rate\" is a size a second, such as \"200MiB/s\"");
  else if (*rate < least_rate)
    s.error("max_rate", "\"max_rate\" must be at least " + base::format_byte_size(least_rate) + "/s");
  else
    out = *rate;
}

void read_prefetch(const section& s, std::optional<model::prefetch_policy>& out) {
  if (!s.has("prefetch")) return;
  const auto fields = s.sub("prefetch");
  auto& prefetch = out.emplace();
  fields.read("every", prefetch.every);
  if (prefetch.every < std::chrono::seconds(1)) fields.error("every", "\"every\" must be at least 1s");
  fields.read_size("max_size", prefetch.max_size);
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
  s.read("space", model::space_policy_names, out.space);
  read_rate(s, out.max_rate);
  s.read_size("max_window", out.max_window);
  read_prefetch(s, out.prefetch);
  s.read("group", out.group);
  if (s.raw("group") != nullptr && !model::is_unit_name(out.group))
    s.error("group", "\"" + out.group + "\" is no group name; use a-z, 0-9, ., _ and -");
  if (!out.group.empty() && out.space == model::space_policy::in_place)
    s.error("space",
            "a [recovery] group is restored as one set or not at all, which needs the old state: \"space\" "
            "cannot be \"in_place\"");
  s.read("public_key", out.public_key);
  if (s.has("public_key"))
    if (const auto key = model::parse_minisign_key(out.public_key); !key)
      s.error("public_key", "\"public_key\": " + key.error().message);
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

void read_schedule(const section& s, const file_context& context, std::optional<model::restart_schedule>& out) {
  const auto* v = s.raw("restart");
  if (v == nullptr) return;
  model::restart_schedule schedule;
  const auto fields = s.sub("restart");
  if (v->is(value_type::text))
    schedule.cron = v->text;
  else if (fields.has("cron"))
    fields.read("cron", schedule.cron);
  else
    s.error("restart", "[schedule] restart needs \"cron\", such as cron = \"0 4 * * *\"");
  if (v->is(value_type::text) || fields.raw("cron") != nullptr)
    if (const auto parsed = base::parse_cron(schedule.cron); !parsed)
      s.findings().error(v->is(value_type::text) ? s.where("restart") : fields.where("cron"), parsed.error().message);
  fields.read("timezone", schedule.timezone);
  if (fields.raw("timezone") != nullptr && context.is_time_zone && !context.is_time_zone(schedule.timezone))
    fields.error("timezone", "there is no time zone \"" + schedule.timezone +
                                 "\"; examples: \"local\", \"UTC\", \"Europe/Berlin\"");
  fields.read("splay", schedule.splay);
  out = std::move(schedule);
}

void check_together(const section& root, const file_context& context, const model::unit& u) {
  if (context.root && u.run.capabilities != 0 && (u.run.user.empty() || u.run.user == "root"))
    root.findings().warning(root.sub("run").where("capabilities"),
                            "the node runs as root, and root has all capabilities: set run.user beside them");
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
  read_schedule(root.sub("schedule"), context, out.schedule);
  read_proxy(root, out);
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
  if (u.run.capabilities != 0) h.add(std::to_string(u.run.capabilities));  // else as before there were any
  h.add(u.data.dir);
  h.all(u.data.also);
  h.add(u.instances > 1 ? "many" : "one");  // changes the name of the log
  return h.value();
}

std::uint64_t settings_of(const model::unit& u) {
  fnv h;
  const auto& limit = u.run.limit;
  for (const auto& l : {limit.open_files, limit.memlock, limit.stack, limit.core}) h.add(l ? std::to_string(*l) : "");
  h.add(limit.nice ? std::to_string(*limit.nice) : "");
  h.add(std::to_string(limit.oom_score_adjust));
  h.add(u.log.max_size);
  h.add(u.log.max_files);
  h.add(u.log.max_age.count() > 0 ? "daily" : "");
  return h.value();
}

}  // namespace hasup::config
