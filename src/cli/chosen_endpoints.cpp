#include "cli/chosen_endpoints.hpp"

#include <algorithm>
#include <map>

#include "control/upstream_status.hpp"

namespace hasup::cli {

model::unit with_chosen_endpoints(const context& c, const model::unit& unit) {
  if (unit.endpoints.empty() || !unit.choices.all) return unit;
  control::command command;
  command.verb = "upstream";
  const auto reply = c.daemon.execute(command);
  const auto all = reply && reply->code == exit_code::done
                       ? control::decode_upstreams(reply->body)
                       : base::result<std::vector<control::upstream_status>>{base::error{}};
  model::address_book known;
  if (all)
    for (const auto& u : *all)
      for (const auto& e : u.endpoints) {
        if (e.dns.empty() || e.dns == e.name) continue;
        auto& hosts = known[e.dns];
        const auto same = [&](const model::known_address& a) { return a.host == e.name; };
        if (std::none_of(hosts.begin(), hosts.end(), same)) hosts.push_back({e.name});
      }
  const auto with = with_addresses(unit, known);
  std::map<std::string, std::string> chosen;
  for (const auto& [word, first] : with.endpoints) {
    const auto& name = with.choices.all->roles.at(word).name;
    if (all)
      for (const auto& u : *all) {
        if (u.name != name) continue;
        if (!u.chosen.empty()) chosen[word] = u.chosen;
        for (const auto& use : u.uses)
          if (use.unit == unit.id.unit && use.instance == unit.id.index && !use.endpoint.empty())
            chosen[word] = use.endpoint;
      }
    if (!chosen.contains(word))
      complain(c, "nobody says which endpoint of upstream " + name + " is chosen: " + first + " is taken");
  }
  return with_endpoints(with, chosen);
}

}  // namespace hasup::cli
