// The log directory and the configuration, put together.
#include "cli/log_sources.hpp"

#include <algorithm>
#include <cerrno>

#include "cli/selection.hpp"
#include "config/unit_dir.hpp"
#include "model/unit_name.hpp"

namespace hasup::cli {
namespace {

std::string base_name(const std::string& path) {
  return path.substr(path.rfind('/') + 1);
}

class collector {
 public:
  collector(const config::directories& dirs, config::loaded units)
      : dirs_(dirs), units_(std::move(units)), present_(logs::list_logs(dirs.log)) {}

  // What the reference means; false when there is no such unit.
  bool add(const model::unit_reference& r) {
    const auto before = out_.size();
    for (const auto& name : present_) {
      const auto log = model::parse_unit_reference(name);
      if (log && log->unit == r.unit && (!r.index || *r.index == log->index.value_or(0))) add_log(name, *log);
    }
    const auto entry = units_.units.find(r.unit);
    if (entry == units_.units.end()) return out_.size() > before || known(r);
    for (const auto& u : entry->second.instances)
      if (!r.index || *r.index == u.id.index) add_unit(u);
    // A broken unit file is no reason to hide what was written.
    return out_.size() > before || entry->second.instances.empty() || known(r);
  }

  bool add_group(const std::string& group) {
    bool any = false;
    for (const auto& [name, entry] : units_.units) {
      if (entry.instances.empty()) continue;
      const auto& groups = entry.instances[0].groups;
      if (std::find(groups.begin(), groups.end(), group) == groups.end()) continue;
      any = true;
      add({name, std::nullopt});
    }
    return any;
  }

  void add_all() {
    for (const auto& name : present_)
      if (const auto log = model::parse_unit_reference(name)) add_log(name, *log);
    for (const auto& [name, entry] : units_.units)
      for (const auto& u : entry.instances) add_followed(u);
  }

  [[nodiscard]] std::vector<std::string> names() const {
    auto all = present_;
    for (const auto& [name, entry] : units_.units) all.push_back(name);
    return all;
  }

  std::vector<log_source> take() { return std::move(out_); }

 private:
  // Named twice, as a unit and in a group, it is shown once.
  [[nodiscard]] bool known(const model::unit_reference& r) const {
    return std::any_of(out_.begin(), out_.end(),
                       [&](const log_source& s) { return s.unit == r.unit && (!r.index || *r.index == s.instance); });
  }
  void push(log_source s) {
    if (std::none_of(out_.begin(), out_.end(), [&](const log_source& o) { return o.path == s.path; }))
      out_.push_back(std::move(s));
  }
  void add_log(const std::string& name, const model::unit_reference& r) {
    push({name, r.unit, r.index.value_or(0), dirs_.log + "/" + name + ".log", logs::log_form::cri, name});
    // What pre_start and the other commands around a run printed.
    for (const auto& hook : present_)
      if (hook.starts_with(name + "+")) add_hook(name, hook.substr(name.size() + 1), r);
  }
  void add_hook(const std::string& name, const std::string& hook, const model::unit_reference& r) {
    push({name + ":" + hook, r.unit, r.index.value_or(0), dirs_.log + "/" + name + "+" + hook + ".log",
          logs::log_form::cri, name});
  }
  void add_unit(const model::unit& u) {
    auto name = model::log_file_name(u);
    name.resize(name.rfind(".log"));
    const model::unit_reference r{u.id.unit, u.id.index};
    add_log(name, r);
    // Also those that have not printed anything yet: somebody may follow.
    if (!u.run.pre_start.empty()) add_hook(name, "pre_start", r);
    if (!u.run.post_start.empty()) add_hook(name, "post_start", r);
    if (!u.run.stop_command.empty()) add_hook(name, "stop_command", r);
    if (!u.run.post_stop.empty()) add_hook(name, "post_stop", r);
    if (!u.run.check_command.empty()) add_hook(name, "check_command", r);
    add_followed(u);
  }
  void add_followed(const model::unit& u) {
    auto name = model::log_file_name(u);
    name.resize(name.rfind(".log"));
    for (const auto& path : u.log.follow)
      push({name + ":" + base_name(path), u.id.unit, static_cast<unsigned>(u.id.index), path, logs::log_form::plain,
            name});
  }

  const config::directories& dirs_;
  config::loaded units_;
  std::vector<std::string> present_;
  std::vector<log_source> out_;
};

}  // namespace

base::result<std::vector<log_source>> find_logs(const config::directories& dirs,
                                                const std::vector<std::string>& targets) {
  collector all(dirs, config::load(dirs));
  if (targets.empty()) all.add_all();
  for (const auto& target : targets) {
    if (target.starts_with('@')) {
      if (!all.add_group(target.substr(1))) return base::error{"no unit is in group \"" + target + "\"", ENOENT};
      continue;
    }
    const auto r = model::parse_unit_reference(target);
    if (!r || !all.add(*r)) return base::error{unknown_unit(target, all.names()), ENOENT};
  }
  return {boost::system::in_place_value, all.take()};
}

}  // namespace hasup::cli
