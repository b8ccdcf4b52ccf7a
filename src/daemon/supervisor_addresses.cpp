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

}  // namespace

void supervisor::know_addresses(config::loaded& all, const model::address_book& known) {
  for (auto& [name, entry] : all.units)
    for (auto& unit : entry.instances) unit = with_addresses(unit, known);
}

// By name of which nothing is known: the addresses that runs have of upstreams which are written by it now. They keep
// them until it answers. `used_by`: the endpoints of an instance that runs.
std::map<std::string, std::set<std::string>> supervisor::addresses_to_assume(
    const config::loaded& all,
    const std::function<std::map<std::string, std::string>(const model::instance_id&)>& used_by) const {
  std::map<std::string, std::set<std::string>> out;
  for (const auto& [name, entry] : all.units)
    for (const auto& unit : entry.instances) {
      if (!unit.choices.all) continue;
      const auto used = used_by(unit.id);
      for (const auto& [word, role] : unit.choices.all->roles) {
        const auto dns = std::find_if(role.dns_names.begin(), role.dns_names.end(),
                                      [&](const auto& d) { return !addresses_.known().contains(d); });
        const auto has = used.find(word);
        if (dns == role.dns_names.end() || has == used.end() || !is_address(has->second)) continue;
        if (std::none_of(role.endpoints.begin(), role.endpoints.end(),
                         [&](const auto& e) { return e.name == has->second; }))
          out[*dns].insert(has->second);
      }
    }
  return out;
}

// The name whose addresses it would have to be restarted for, though none of them is known; "" = none.
std::string supervisor::unknown_name_for(const unit_runner& r, const model::unit& next) {
  for (const auto& [word, endpoint] : with_endpoints(next, r.spec().endpoints).endpoints)
    for (const auto& e : next.choices.all->roles.at(word).endpoints) {
      const auto was = r.spec().endpoints.find(word);
      if (e.name == endpoint && e.unresolved && was != r.spec().endpoints.end() && was->second != endpoint)
        return e.dns;
    }
  return {};
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
    for (const auto& [id, r] : runners_) r->know_addresses(addresses_.known());
    set_upstreams();
    save_intent();
  }
  follow_upstreams();
  const auto* known = addresses_.of(name);
  if (known == nullptr || known->problem.empty()) return;
  for (const auto& [upstream, watch] : upstreams_) {
    if (!has_name(watch->role(), name)) continue;
    watch->tell_unresolved(name, known->problem);
    watch->look();  // a start that waits says so
  }
}

// Why a unit that lists addresses is to be restarted; "" = it is not. A list that is only assumed is none yet.
std::string supervisor::runs_with_other_list(const unit_runner& r) const {
  if (!r.lists_other_addresses() || !may_follow_upstreams(r)) return {};
  const auto names = r.names_that_changed(true);
  for (const auto& name : names)
    if (const auto* known = addresses_.of(name);
        known == nullptr ||
        std::any_of(known->all.begin(), known->all.end(), [](const auto& a) { return a.assumed; }))
      return {};
  return names.empty() ? "" : "the addresses of " + base::joined(names) + ", which it lists, are others now";
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
  if (change.too_many) {
    const auto used = std::count_if(known->all.begin(), known->all.end(), [](const auto& a) { return !a.gone; });
    said.push_back(fmt::format("{} has at least {} addresses, of which {} are used", name,
                               static_cast<std::size_t>(used) + known->left_out.size(), used));
  }
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
