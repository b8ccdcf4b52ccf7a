// The upstreams that units use: who is asked, who waits, who is restarted after a switch.
#include <algorithm>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <charconv>

#include "base/time_text.hpp"
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

// One of a file is asked once for all units; a file that says something else now is asked anew, but for endpoints
// that stay.
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
    if (kept != wanted.end() && it->second->follow(*kept->second)) {
      boost::asio::post(services_.loop, [this, name = it->first] {
        if (const auto watch = upstreams_.find(name); watch != upstreams_.end()) watch->second->look();
      });
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
        [this, name = name](const upstream_watch::change& c) { upstream_changed(name, c.kind, c.reason); },
        [this, name = name] { list_servers(name); });
    upstreams_known_.erase(name);
  }
  follow_names();
}

std::map<std::string, upstream_intent> supervisor::upstream_intents() const {
  std::map<std::string, upstream_intent> out;
  for (const auto& [name, known] : upstreams_known_)
    if (!known.empty()) out[name] = known;
  for (const auto& [name, watch] : upstreams_)
    if (!watch->intent().empty()) out[name] = watch->intent();
  return out;
}

// Why its start waits; "" = it does not.
std::string supervisor::upstream_lacking(const unit_runner& who, const std::string& word) const {
  const auto found = upstreams_.find(roles_of(who).at(word).name);
  if (found == upstreams_.end()) return "it has not been asked yet";
  const auto& watch = *found->second;
  const bool filled_in = who.spec().endpoints.contains(word);
  // Whoever only lists its servers, and has a list, starts with that.
  if (!filled_in && who.spec().proxy && who.spec().proxy->upstream == word) return who.why_no_list();
  const auto endpoint = filled_in ? who.endpoint_for_start(word) : watch.chosen();
  if (endpoint == watch.chosen()) return watch.why_not_ready();
  if (!endpoint.empty()) return {};  // another one, and healthy
  return watch.chosen() + " was left by this unit, and " +
         (watch.seen_by({}).all_told ? "no other one is healthy" : "the others have not all answered yet");
}

void supervisor::upstreams_missing(const unit_runner& who, std::vector<std::string>& waiting_for) const {
  for (const auto& [word, role] : roles_of(who))
    if (const auto why = upstream_lacking(who, word); !why.empty())
      waiting_for.push_back("upstream " + role.name + ": " + why);
}

upstream::role_view supervisor::endpoints_of(const unit_runner& who, const std::string& word) const {
  const auto& roles = roles_of(who);
  const auto role = roles.find(word);
  const auto watch = role == roles.end() ? upstreams_.end() : upstreams_.find(role->second.name);
  if (watch == upstreams_.end()) return {};
  const auto used = who.spec().endpoints.find(word);
  return watch->second->seen_by(used == who.spec().endpoints.end() ? std::string() : used->second);
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

// For the proxies that send requests to them.
void supervisor::list_servers(const std::string& name) {
  const auto& watch = *upstreams_.at(name);
  for (const auto& [id, r] : runners_) {
    const auto& proxy = r->spec().proxy;
    if (!proxy) continue;
    const auto& roles = roles_of(*r);
    if (const auto role = roles.find(proxy->upstream); role != roles.end() && role->second.name == name)
      r->look_at_servers(watch.role(), watch.servers(), watch.chosen());
  }
}

// Is it at work, and is nothing else about to be done with it?
bool supervisor::may_follow_upstreams(const unit_runner& r) const {
  const auto state = r.state();
  if (state != model::unit_state::running && state != model::unit_state::starting) return false;
  if (!r.was_running() || r.undecided() || r.recovery_active() || !r.journal_trouble().empty()) return false;
  const auto& id = r.spec().id;
  if (const auto set = settings_.find(id.unit); set != settings_.end() && set->second.maintenance) return false;
  return !removed_.contains(id) && !stops_.contains(id);
}

// Why the run of a unit is to end for another endpoint; "" = it is not.
std::string supervisor::runs_with_left_endpoint(const unit_runner& r) const {
  if (!may_follow_upstreams(r)) return {};
  for (const auto& [word, endpoint] : r.spec().endpoints) {
    const auto now = r.endpoint_for_run(word);
    const auto& role = r.spec().choices.all->roles.at(word);
    if (now != endpoint && role.restart_on_change)
      return "upstream " + role.name + ": " + now + " instead of " + endpoint;
  }
  return {};
}

void supervisor::follow_upstreams() {
  std::map<std::string, runners> by_unit;
  std::map<std::string, std::string> why;
  for (const auto& [id, r] : runners_) {
    if (!r->spec().choices.all) continue;
    if (r->follow_choices()) save_intent();
    const auto roll = rolling_.find(id.unit);
    if (roll != rolling_.end() &&
        std::find(roll->second.left.begin(), roll->second.left.end(), id) != roll->second.left.end())
      continue;
    auto left = runs_with_left_endpoint(*r);
    if (left.empty()) left = runs_with_other_list(*r);
    if (left.empty()) continue;
    by_unit[id.unit].push_back(r);
    why[id.unit] = std::move(left);
  }
  for (const auto& [unit, targets] : by_unit) restart(targets, why[unit]);
}

namespace {

control::upstream_use use_of(const unit_runner& r, const std::string& word) {
  control::upstream_use out;
  out.unit = r.spec().id.unit;
  out.instance = r.spec().id.index;
  out.instances = r.spec().instances;
  out.runs = r.main_pid() != 0;
  out.endpoint = out.runs ? r.spec().endpoints.at(word) : r.endpoint_for_start(word);
  const auto own = r.own_endpoints(word);
  out.apart = out.runs && own.apart;
  for (const auto& [endpoint, left] : own.left)
    if (upstream::is_left(own, endpoint, std::chrono::system_clock::now()))
      out.left_ones.push_back({endpoint, left.at, left.until, left.why});
  return out;
}

}  // namespace

control::upstream_status supervisor::upstream_view(const std::string& name, const upstream_watch& watch) const {
  control::upstream_status out;
  const auto& known = watch.intent();
  out.name = name;
  out.select = model::upstream_select_names.text(watch.role().select);
  out.chosen = watch.chosen();
  out.chosen_why = known.reason;
  out.since = known.since;
  out.reason = watch.reason();
  for (const auto& e : watch.endpoints()) {
    control::endpoint_status row;
    row.name = e.name;
    row.dns = e.dns;
    row.health = e.is == upstream::standing::good  ? "healthy"
                 : e.is == upstream::standing::bad ? "unhealthy"
                                                   : "unknown";
    row.reason = e.reason;
    if (e.head) {
      row.head = e.head->number;
      row.head_time = e.head->time;
    }
    if (e.latency) row.latency_ms = std::chrono::duration<double, std::milli>(*e.latency).count();
    if (e.behind) row.behind_s = std::chrono::duration<double>(*e.behind).count();
    row.chosen = e.name == watch.chosen();
    row.avoided = e.avoided;
    row.avoided_until = e.avoided_until;
    out.endpoints.push_back(std::move(row));
  }
  for (const auto& dns : watch.role().dns_names) {
    const auto* asked = addresses_.of(dns);
    if (asked != nullptr) out.names.push_back({dns, asked->problem, asked->all.size() + asked->left_out.size()});
  }
  std::set<std::string> units;
  for (const auto& [id, r] : runners_)
    for (const auto& [word, role] : roles_of(*r)) {
      if (role.name != name) continue;
      units.insert(id.unit);
      if (r->spec().endpoints.contains(word)) out.uses.push_back(use_of(*r, word));
    }
  out.units.assign(units.begin(), units.end());
  return out;
}

// Names: none shows all, one that one, "avoid NAME ENDPOINT" has it avoided.
control::command_reply supervisor::upstream_command(const control::command& c) {
  const bool avoids = !c.targets.empty() && c.targets.front() == "avoid";
  if (avoids ? c.targets.size() != 3 : c.targets.size() > 1)
    return {exit_code::usage, "upstream takes a NAME, or: avoid NAME ENDPOINT", {}, {}};
  control::command_reply reply;
  std::vector<control::upstream_status> views;
  if (c.targets.empty()) {
    for (const auto& [name, watch] : upstreams_) views.push_back(upstream_view(name, *watch));
    reply.body = control::encode(views);
    return reply;
  }
  const auto& name = avoids ? c.targets[1] : c.targets[0];
  const auto found = upstreams_.find(name);
  if (found == upstreams_.end()) {
    std::string all;
    for (const auto& [known, watch] : upstreams_) all += (all.empty() ? "" : ", ") + known;
    return {exit_code::no_such_unit,
            "no unit uses an upstream \"" + name + "\"" + (all.empty() ? "" : "; there are: " + all),
            {},
            {}};
  }
  auto& watch = *found->second;
  if (!avoids) {
    views.push_back(upstream_view(name, watch));
    reply.body = control::encode(views);
    return reply;
  }
  const auto& endpoint = c.targets[2];
  const auto& all = watch.role().endpoints;
  if (std::none_of(all.begin(), all.end(), [&](const auto& e) { return e.name == endpoint; }))
    return {exit_code::failed,
            "upstream " + name + " has no endpoint \"" + endpoint + "\" (`hasup upstream " + name + "`)",
            {},
            {}};
  if (c.options.contains("undo")) {
    const bool was = watch.stop_avoiding(endpoint);
    reply.message = endpoint + (was ? " is no longer avoided" : " was not avoided");
    return reply;
  }
  std::optional<base::wall_time> until;
  if (const auto it = c.options.find("for_ms"); it != c.options.end()) {
    std::int64_t ms = 0;
    const auto& text = it->second;
    const auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), ms);
    constexpr std::int64_t most = 10LL * 366 * 24 * 3600 * 1000;
    if (ec != std::errc{} || end != text.data() + text.size() || ms <= 0 || ms > most)
      return {exit_code::usage, "--for takes a time of up to ten years", {}, {}};
    until = std::chrono::system_clock::now() + std::chrono::milliseconds(ms);
  }
  watch.avoid(endpoint, until);
  reply.message = endpoint + " is avoided" + (until ? " until " + base::format_time(*until) : std::string()) +
                  (watch.chosen() == endpoint ? "; it is kept while no other one is healthy" : "");
  return reply;
}

}  // namespace hasup::daemon
