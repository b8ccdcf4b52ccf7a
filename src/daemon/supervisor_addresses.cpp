// The DNS names of upstreams: which are asked for, and what follows when their addresses differ.
#include <fmt/format.h>

#include <algorithm>

#include "base/joined.hpp"
#include "daemon/supervisor.hpp"
#include "daemon/upstream_watch.hpp"

namespace hasup::daemon {
namespace {

bool has_name(const model::upstream& role, const std::string& dns) {
  return std::find(role.dns_names.begin(), role.dns_names.end(), dns) != role.dns_names.end();
}

// Does the unit follow when the list of that name's addresses in its strings is another one?
bool restarts_for(const model::unit& unit, const std::string& dns) {
  if (!unit.choices.all) return false;
  const auto& roles = unit.choices.all->roles;
  return std::any_of(roles.begin(), roles.end(),
                     [&](const auto& r) { return r.second.restart_on_change && has_name(r.second, dns); });
}

}  // namespace

void supervisor::know_addresses(config::loaded& all) const {
  for (auto& [name, entry] : all.units)
    for (auto& unit : entry.instances) unit = with_addresses(unit, addresses_.known());
}

std::set<std::string> supervisor::unknown_names(const config::loaded& all) const {
  std::set<std::string> out;
  for (const auto& [name, entry] : all.units)
    for (const auto& unit : entry.instances)
      if (unit.choices.all)
        for (const auto& [word, role] : unit.choices.all->roles)
          for (const auto& dns : role.dns_names)
            if (!addresses_.known().contains(dns)) out.insert(dns);
  return out;
}

// One of several upstreams is asked for as the most eager of them says.
void supervisor::follow_names() {
  std::map<std::string, address_watch::wish> names;
  for (const auto& [upstream, watch] : upstreams_)
    for (const auto& dns : watch->role().dns_names) {
      const auto& role = watch->role();
      auto& wish =
          names.try_emplace(dns, address_watch::wish{role.resolve_every, role.keep_address_for}).first->second;
      wish.every = std::min(wish.every, role.resolve_every);
      wish.keep_for = std::max(wish.keep_for, role.keep_address_for);
    }
  addresses_.set(names);
  for (const auto& [upstream, watch] : upstreams_)  // one that is new has not heard of it
    for (const auto& dns : watch->role().dns_names)
      if (const auto* known = addresses_.of(dns); known != nullptr && !known->problem.empty())
        watch->tell_unresolved(dns, known->problem);
}

std::set<std::string> supervisor::endpoints_in_use() const {
  std::set<std::string> out;
  for (const auto& [id, r] : runners_)
    if (!r->at_rest())
      for (const auto& [word, endpoint] : r->spec().endpoints) out.insert(endpoint);
  for (const auto& [name, watch] : upstreams_) out.insert(watch->chosen());
  return out;
}

void supervisor::addresses_changed(const std::string& name, const upstream::address_change& change) {
  tell_of_addresses(name, change);
  if (change.known_differs) {
    std::map<std::string, runners> to_restart;
    for (const auto& [id, r] : runners_) {
      const auto was = r->spec().fingerprint;
      r->know_addresses(addresses_.known());
      if (r->spec().fingerprint != was && restarts_for(r->spec(), name) && may_follow_upstreams(*r))
        to_restart[id.unit].push_back(r);
    }
    set_upstreams();
    save_intent();
    for (const auto& [unit, targets] : to_restart)
      restart(targets, "the addresses of " + name + ", which it lists, are others now");
  }
  const auto* known = addresses_.of(name);
  if (known == nullptr || known->problem.empty()) return;
  for (const auto& [upstream, watch] : upstreams_) {
    if (!has_name(watch->role(), name)) continue;
    watch->tell_unresolved(name, known->problem);
    watch->look();  // a start that waits says so
  }
}

void supervisor::tell_of_addresses(const std::string& name, const upstream::address_change& change) {
  const auto* known = addresses_.of(name);
  if (known == nullptr) return;
  std::vector<std::string> said;
  const auto many = [](const std::vector<std::string>& all) { return all.size() > 1; };
  if (!change.joined.empty())
    said.push_back(fmt::format("{} {} of {}", base::joined(change.joined),
                               many(change.joined) ? "are addresses" : "is an address", name));
  if (!change.left.empty())
    said.push_back(fmt::format("{} {} of {} any more", base::joined(change.left),
                               many(change.left) ? "are no addresses" : "is no address", name));
  if (change.left_out_differs)
    said.push_back(fmt::format("{} has {} addresses, of which {} are used", name, known->all.size() + known->left_out,
                               known->all.size()));
  if (change.problem_differs && !known->problem.empty())
    said.push_back(fmt::format("{} cannot be found: {}{}", name, known->problem,
                               known->all.empty() ? "" : "; what is known of it stays"));
  else if (change.problem_differs && change.joined.empty())
    said.push_back(name + " is found again");
  if (said.empty()) return;
  for (const auto& [upstream, watch] : upstreams_) {
    if (!has_name(watch->role(), name)) continue;
    control::event e;
    e.kind = "upstream_addresses";
    e.reason = "upstream " + upstream + ": " + base::joined(said, "; ");
    publish(std::move(e));
  }
}

}  // namespace hasup::daemon
