#include "config/link.hpp"

#include <algorithm>
#include <map>
#include <optional>

#include "base/cycle.hpp"
#include "base/suggestion.hpp"

namespace hasup::config {
namespace {

class linker {
 public:
  linker(std::vector<parsed_unit>& units, const std::set<std::string>& also_known) : units_(units) {
    for (const auto& u : units_) known_.insert(u.entry.name);
    known_.insert(also_known.begin(), also_known.end());
    for (auto& u : units_) by_name_[u.entry.name] = &u;
  }

  void link() {
    for (auto& u : units_) {
      for (const auto& r : u.requires_units) must_exist(u, r);
      if (u.shared_with) check_shared(u, *u.shared_with);
      for (const auto& j : u.judged_by) {
        if (j.who.unit == u.entry.name)
          u.findings.error(j.who.where,
                           j.through ? "a unit is asked without \"through\" itself" : "a unit cannot need itself");
        else
          must_exist(u, j.who);
      }
    }
    loops();
    verdict_loops();
    directories();
    groups();
  }

 private:
  bool must_exist(parsed_unit& u, const unit_reference_use& r) {
    if (known_.contains(r.unit)) return true;
    const std::vector<std::string_view> names(known_.begin(), known_.end());
    const auto near = base::nearest(r.unit, names);
    u.findings.error(r.where, "unknown unit \"" + r.unit + "\"" +
                                  (near.empty() ? "; there is no units/" + r.unit + ".toml"
                                                : "; did you mean \"" + std::string(near) + "\"?"));
    return false;
  }

  void check_shared(parsed_unit& u, const unit_reference_use& r) {
    if (r.unit == u.entry.name) return u.findings.error(r.where, "a unit cannot share its data with itself");
    if (!must_exist(u, r)) return;
    const auto it = by_name_.find(r.unit);
    if (it == by_name_.end() || it->second->findings.failed()) return;  // not known better
    if (it->second->data.empty())
      u.findings.error(r.where, "\"" + r.unit + "\" has no [data] dir of its own to share");
  }

  void loops() {
    base::named_edges edges;
    for (const auto& u : units_)
      for (const auto& r : u.requires_units) edges[u.entry.name].push_back(r.unit);
    for (const auto& loop : base::find_cycles(edges)) {
      for (std::size_t i = 0; i + 1 < loop.size(); ++i) {
        auto& u = *by_name_.at(loop[i]);
        const auto use = std::find_if(u.requires_units.begin(), u.requires_units.end(),
                                      [&](const unit_reference_use& r) { return r.unit == loop[i + 1]; });
        if (use == u.requires_units.end()) continue;
        u.findings.error(use->where, "requirements form a loop: " + base::cycle_text(loop));
      }
    }
  }

  // Who waits for a verdict that waits for himself. Liveness is no state that anybody waits for.
  void verdict_loops() {
    const auto started = [](const std::string& name) { return name + " started"; };
    const auto healthy = [](const std::string& name) { return name + " healthy"; };
    base::named_edges edges;
    // Of a verdict: what it is about, and what it waits for.
    const auto verdict_edges = [&](const parsed_unit& u, const judged_by_use& j) {
      base::named_edges out;
      const auto& name = u.entry.name;
      const bool starts = j.role == model::probe_role::startup || !u.entry.instances.front().startup;
      if (j.role == model::probe_role::liveness || j.who.unit == name) return out;
      if (j.role == model::probe_role::readiness)
        out[healthy(name)].push_back(j.through ? started(j.who.unit) : healthy(j.who.unit));
      if (starts && j.through) out[started(name)].push_back(started(j.who.unit));
      return out;
    };
    for (const auto& u : units_) {
      if (u.entry.instances.empty()) continue;
      const auto& name = u.entry.name;
      edges[healthy(name)].push_back(started(name));
      for (const auto& r : u.entry.instances.front().requires_units)
        edges[started(name)].push_back(r.when == model::condition::healthy ? healthy(r.unit) : started(r.unit));
      for (const auto& j : u.judged_by)
        for (const auto& [from, to] : verdict_edges(u, j))
          edges[from].insert(edges[from].end(), to.begin(), to.end());
    }
    for (const auto& loop : base::find_cycles(edges)) {
      const auto in_loop = [&](const std::string& from, const std::string& to) {
        for (std::size_t i = 0; i + 1 < loop.size(); ++i)
          if (loop[i] == from && loop[i + 1] == to) return true;
        return false;
      };
      for (auto& u : units_) {
        if (u.entry.instances.empty()) continue;
        for (const auto& j : u.judged_by)
          for (const auto& [from, to] : verdict_edges(u, j))
            if (std::any_of(to.begin(), to.end(), [&, f = from](const auto& t) { return in_loop(f, t); }))
              u.findings.error(j.who.where, "it would wait for itself: " + base::cycle_text(loop));
      }
    }
  }

  // Where others may be in files that were not read nobody knows.
  void groups() {
    std::map<std::string, unsigned> members;
    for (const auto& u : units_) members[u.recovery_group] += u.instances;
    const bool all_known = known_.size() == by_name_.size();
    for (auto& u : units_)
      if (all_known && !u.findings.failed() && !u.recovery_group.empty() && members[u.recovery_group] == 1)
        u.findings.warning(u.recovery_group_place, "nobody else is in [recovery] group \"" + u.recovery_group +
                                                       "\", which is restored as one set: write it into the "
                                                       "units that it belongs to, too");
  }

  struct claim {
    parsed_unit* unit;
    const data_use* use;
  };

  static bool overlap(const std::string& a, const std::string& b) {
    return a == b || a.starts_with(b + "/") || b.starts_with(a + "/");
  }

  void directories() {
    std::vector<claim> claims;
    for (auto& u : units_)
      for (const auto& d : u.data) claims.push_back({&u, &d});
    for (std::size_t i = 0; i < claims.size(); ++i)
      for (std::size_t j = i + 1; j < claims.size(); ++j) compare(claims[i], claims[j]);
  }

  static void compare(const claim& a, const claim& b) {
    if (!overlap(a.use->real, b.use->real)) return;
    if (a.unit == b.unit) {
      if (a.use->instance != b.use->instance)
        a.unit->findings.error(
            a.use->where, "instances " + std::to_string(a.use->instance) + " and " + std::to_string(b.use->instance) +
                              " would write the same directory \"" + a.use->path + "\"; put ${instance} into it");
      return;
    }
    say(a, b);
    say(b, a);
  }

  static void say(const claim& mine, const claim& theirs) {
    const auto& use = *theirs.use;
    const auto path = "\"" + use.path + "\"" + (use.real == use.path ? "" : " (\"" + use.real + "\")");
    const auto relation = mine.use->real == use.real                ? path + " is the data directory of"
                          : mine.use->real.size() > use.real.size() ? "this lies in " + path + ", which is data of"
                                                                    : "this holds " + path + ", which is data of";
    mine.unit->findings.error(mine.use->where,
                              relation + " \"" + theirs.unit->entry.name +
                                  "\" too; two writers destroy it (to read it only: data.shared_with)");
  }

  std::vector<parsed_unit>& units_;
  std::set<std::string> known_;
  std::map<std::string, parsed_unit*> by_name_;
};

}  // namespace

void link_units(std::vector<parsed_unit>& units, const std::set<std::string>& also_known) {
  linker(units, also_known).link();
}

}  // namespace hasup::config
