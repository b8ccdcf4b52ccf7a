// Which endpoints of its upstreams an instance uses, and those that it has left (action = "next_endpoint").
#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/time_text.hpp"
#include "daemon/unit_runner.hpp"

namespace hasup::daemon {

const model::upstream& unit_runner::role_of(const std::string& word) const {
  return unit_.choices.all->roles.at(word);
}

upstream::own_memory unit_runner::own_endpoints(const std::string& word) const {
  const auto it = own_endpoints_.find(word);
  return it == own_endpoints_.end() ? upstream::own_memory{} : it->second;
}

std::string unit_runner::endpoint_for_start(const std::string& word) const {
  return upstream::endpoint_for_start(role_of(word), host_.endpoints_of(*this, word), own_endpoints(word),
                                      wall_now());
}

std::string unit_runner::endpoint_for_run(const std::string& word) const {
  return upstream::endpoint_for_run(role_of(word), host_.endpoints_of(*this, word), own_endpoints(word),
                                    unit_.endpoints.at(word), wall_now());
}

// Nothing of it runs: it becomes the unit with what it takes now.
void unit_runner::take_endpoints() {
  if (unit_.endpoints.empty()) return;
  std::map<std::string, std::string> wanted;
  for (const auto& [word, endpoint] : unit_.endpoints) {
    if (const auto own = own_endpoints_.find(word); own != own_endpoints_.end())
      forget_old(own->second, role_of(word), wall_now());
    if (auto next = endpoint_for_start(word); !next.empty()) wanted[word] = std::move(next);
  }
  auto now = with_endpoints(unit_, wanted);
  if (now.endpoints != unit_.endpoints) unit_ = std::move(now);
  for (auto& [word, own] : own_endpoints_)
    own.apart = unit_.endpoints.contains(word) && !own.left.empty() &&
                unit_.endpoints.at(word) != host_.endpoints_of(*this, word).chosen;
  std::erase_if(own_endpoints_, [](const auto& own) { return own.second.empty(); });
}

void unit_runner::know_addresses(const model::address_book& known) {
  if (pending_spec_) pending_spec_->unit = with_addresses(pending_spec_->unit, known);
  auto next = with_addresses(unit_, known);
  unit_.choices = next.choices;
  // A list of all addresses is another one now, or it is down and what it was with last is forgotten.
  if (next != unit_ && !pending_spec_) replace_spec(std::move(next), recipe_, effective_toml_, false);
}

// By word: the addresses of names that a list has.
std::map<std::string, std::string> unit_runner::hosts_of() const {
  std::map<std::string, std::string> out;
  if (!unit_.choices.all) return out;
  for (const auto& [word, role] : unit_.choices.all->roles) {
    if (role.dns_names.empty()) continue;
    auto& hosts = out[word];
    for (const auto& e : role.endpoints)
      if (!e.dns.empty() && !e.gone) hosts += (hosts.empty() ? "" : " ") + e.name;
  }
  return out;
}

void unit_runner::runs_as_configured() {
  running_fingerprint_ = unit_.fingerprint;
  running_settings_ = unit_.settings;
  running_by_names_ = unit_.by_names;
  running_hosts_ = hosts_of();
}

// hasupd died before the intent file knew of the run: it is that of a moment ago, as far as we know.
void unit_runner::runs_unrecorded() {
  runs_as_configured();
  running_settings_ = not_recorded;
}

std::vector<std::string> unit_runner::names_that_changed(bool to_restart_for) const {
  std::vector<std::string> out;
  if (!lists_other_addresses()) return out;
  for (const auto& [word, hosts] : hosts_of()) {
    const auto& role = role_of(word);
    const auto was = running_hosts_.find(word);
    if (was != running_hosts_.end() && was->second == hosts) continue;
    if (role.restart_on_change || !to_restart_for)
      out.insert(out.end(), role.dns_names.begin(), role.dns_names.end());
  }
  return out;
}

bool unit_runner::follow_choices() {
  bool changed = false;
  for (auto& [word, own] : own_endpoints_) {
    const auto used = unit_.endpoints.find(word);
    if (used == unit_.endpoints.end()) continue;
    const auto chosen = host_.endpoints_of(*this, word).chosen;
    const bool apart = chosen != used->second && (own.apart || upstream::is_left(own, chosen, wall_now()));
    changed = std::exchange(own.apart, apart) != apart || changed;
  }
  return changed;
}

// Those that its run was filled in with.
std::vector<std::string> unit_runner::words_of(const std::string& upstream) const {
  std::vector<std::string> out;
  for (const auto& [word, endpoint] : unit_.endpoints)
    if (upstream.empty() || upstream == word) out.push_back(word);
  return out;
}

// As it looks now; what the next start takes is decided then.
std::string unit_runner::after_endpoint(const unit::classification& c) const {
  if (c.action != unit::exit_action::next_endpoint) return {};
  const auto words = words_of(c.upstream);
  if (words.empty()) return c.upstream.empty() ? "it uses no upstream" : "it does not use the upstream " + c.upstream;
  std::string out;
  for (const auto& word : words) {
    const auto& role = role_of(word);
    const auto& used = unit_.endpoints.at(word);
    auto own = own_endpoints(word);
    out += out.empty() ? "" : ", ";
    if (!leave(own, role, used, {}, wall_now())) {
      out += fmt::format("upstream {} has no other endpoint than {}", role.name, used);
      continue;
    }
    const auto seen = host_.endpoints_of(*this, word);
    const auto next = upstream::endpoint_for_start(role, seen, own, wall_now());
    out += !next.empty() && next != used ? fmt::format("{} is the next of upstream {}", next, role.name)
           : seen.all_told               ? fmt::format("no other endpoint of upstream {} is healthy", role.name)
                           : fmt::format("the other endpoints of upstream {} have not all answered yet", role.name);
  }
  return out;
}

void unit_runner::on(const unit::leave_endpoint& a) {
  for (const auto& word : words_of(a.upstream)) {
    const auto& role = role_of(word);
    const auto& used = unit_.endpoints.at(word);
    auto own = own_endpoints(word);
    if (!leave(own, role, used, a.why, wall_now())) continue;
    const auto until = base::format_time(own.left.at(used).until);
    own_endpoints_[word] = std::move(own);
    publish("endpoint_left", fmt::format("upstream {}: {} is left until {}: {}", role.name, used, until, a.why),
            {{"upstream", role.name}, {"endpoint", used}, {"until", until}});
  }
}

// What runs goes on with what it has.
void unit_runner::forget_left() {
  for (auto& [word, own] : own_endpoints_) own.left.clear();
  std::erase_if(own_endpoints_, [](const auto& own) { return own.second.empty(); });
}

std::string unit_runner::left_story() const {
  std::string out;
  for (const auto& [word, own] : own_endpoints_) {
    if (!unit_.endpoints.contains(word)) continue;
    const auto& all = role_of(word).endpoints;
    if (std::all_of(all.begin(), all.end(),
                    [&, &own = own](const auto& e) { return is_left(own, e.name, wall_now()); })) {
      out += fmt::format("{}all endpoints of upstream {} were left: that of longest ago is the next",
                         out.empty() ? "" : "; ", role_of(word).name);
      continue;
    }
    for (const auto& [endpoint, left] : own.left)
      if (upstream::is_left(own, endpoint, wall_now()))
        out += fmt::format("{}a start before {} UTC does not take {} of upstream {}", out.empty() ? "" : "; ",
                           base::format_time(left.until).substr(11, 8), endpoint, role_of(word).name);
  }
  return out;
}

}  // namespace hasup::daemon
