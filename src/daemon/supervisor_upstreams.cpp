// The upstreams that units use: who is asked, who waits, who is restarted after a switch.
#include <algorithm>

#include "daemon/supervisor.hpp"
#include "daemon/upstream_watch.hpp"

namespace hasup::daemon {
namespace {

// By the word behind "upstream." in the unit: which upstream that is.
const std::map<std::string, model::upstream>& roles_of(const unit_runner& r) {
  static const std::map<std::string, model::upstream> none;
  const auto& choices = r.spec().choices.all;
  return choices ? choices->roles : none;
}

}  // namespace

// One of a file is asked once for all units; a file that says something else now is asked anew.
void supervisor::set_upstreams() {
  std::map<std::string, const model::upstream*> wanted;
  for (const auto& [id, r] : runners_)
    for (const auto& [word, role] : roles_of(*r)) wanted[role.name] = &role;
  for (auto it = upstreams_.begin(); it != upstreams_.end();) {
    const auto kept = wanted.find(it->first);
    if (kept != wanted.end() && *kept->second == it->second->role()) {
      ++it;
      continue;
    }
    upstreams_known_[it->first] = it->second->intent();
    it = upstreams_.erase(it);
  }
  for (const auto& [name, role] : wanted) {
    if (upstreams_.contains(name)) continue;
    upstreams_[name] = std::make_unique<upstream_watch>(
        services_.loop, services_.prober, *role, upstreams_known_[name],
        [this, name = name](const upstream_watch::change& c) { upstream_changed(name, c.kind, c.reason); });
    upstreams_known_.erase(name);
  }
}

std::map<std::string, upstream_intent> supervisor::upstream_intents() const {
  std::map<std::string, upstream_intent> out;
  for (const auto& [name, known] : upstreams_known_)
    if (!known.empty()) out[name] = known;
  for (const auto& [name, watch] : upstreams_)
    if (!watch->intent().empty()) out[name] = watch->intent();
  return out;
}

void supervisor::upstreams_missing(const unit_runner& who, std::vector<std::string>& waiting_for) const {
  for (const auto& [word, role] : roles_of(who)) {
    const auto watch = upstreams_.find(role.name);
    const auto why = watch == upstreams_.end() ? "it has not been asked yet" : watch->second->why_not_ready();
    if (!why.empty()) waiting_for.push_back("upstream " + role.name + ": " + why);
  }
}

std::map<std::string, std::string> supervisor::chosen_endpoints(const unit_runner& who) const {
  std::map<std::string, std::string> out;
  for (const auto& [word, role] : roles_of(who))
    if (const auto watch = upstreams_.find(role.name); watch != upstreams_.end() && !watch->second->chosen().empty())
      out[word] = watch->second->chosen();
  return out;
}

void supervisor::upstream_changed(const std::string& name, const std::string& kind, const std::string& reason) {
  if (!kind.empty()) {
    control::event e;
    e.kind = kind;
    e.reason = reason;
    publish(std::move(e));
    save_intent();
  }
  for (const auto& [id, r] : runners_) {
    const auto& roles = roles_of(*r);
    if (std::none_of(roles.begin(), roles.end(), [&](const auto& one) { return one.second.name == name; })) continue;
    r->look_at_requirements();
    if (r->state() == model::unit_state::waiting) r->dispatch(hasup::unit::requirements_changed{});
  }
  follow_upstreams();
}

// Why the run of a unit is to end for another endpoint; "" = it is not.
std::string supervisor::runs_with_left_endpoint(const unit_runner& r) const {
  const auto state = r.state();
  if (state != model::unit_state::running && state != model::unit_state::starting) return {};
  if (!r.was_running() || r.undecided() || r.recovery_active() || !r.journal_trouble().empty()) return {};
  const auto& id = r.spec().id;
  if (const auto set = settings_.find(id.unit); set != settings_.end() && set->second.maintenance) return {};
  if (removed_.contains(id) || stops_.contains(id)) return {};
  const auto chosen = chosen_endpoints(r);
  for (const auto& [word, endpoint] : r.spec().endpoints) {
    const auto now = chosen.find(word);
    const auto& role = r.spec().choices.all->roles.at(word);
    if (now != chosen.end() && now->second != endpoint && role.restart_on_change)
      return "upstream " + role.name + ": " + now->second + " instead of " + endpoint;
  }
  return {};
}

void supervisor::follow_upstreams() {
  std::map<std::string, runners> by_unit;
  std::map<std::string, std::string> why;
  for (const auto& [id, r] : runners_) {
    if (r->spec().endpoints.empty()) continue;
    const auto roll = rolling_.find(id.unit);
    if (roll != rolling_.end() &&
        std::find(roll->second.left.begin(), roll->second.left.end(), id) != roll->second.left.end())
      continue;
    auto left = runs_with_left_endpoint(*r);
    if (left.empty()) continue;
    by_unit[id.unit].push_back(r);
    why[id.unit] = std::move(left);
  }
  for (const auto& [unit, targets] : by_unit) restart(targets, why[unit]);
}

}  // namespace hasup::daemon
