// Whom a probe needs, or asks through: how they are, for the unit that is judged.
#include "daemon/supervisor.hpp"
#include "daemon/upstream_watch.hpp"

namespace hasup::daemon {
namespace {

constexpr std::string_view upstream_prefix = "upstream.";

// "unhealthy: readiness failed: …", "stopped"
std::string how_it_is(const unit_runner& r) {
  const auto v = r.health_view();
  if (v.state != model::unit_state::running) return std::string(model::unit_state_names.text(v.state));
  return std::string(model::health_names.text(v.health)) + (v.reason.empty() ? "" : ": " + v.reason);
}

}  // namespace

// With several instances one is enough: which of them a node reads from is not known here.
std::string supervisor::needs_lacking(const unit_runner& who, const std::vector<std::string>& needs) const {
  for (const auto& need : needs) {
    if (need.starts_with(upstream_prefix)) {
      const auto& choices = who.spec().choices.all;
      const auto word = need.substr(upstream_prefix.size());
      if (!choices || !choices->roles.contains(word)) return "needs " + need + ", which it does not have";
      const auto& name = choices->roles.at(word).name;
      const auto watch = upstreams_.find(name);
      const auto used = who.spec().endpoints.find(word);  // what it runs with
      const auto why = watch == upstreams_.end()            ? "it has not been asked yet"
                       : used == who.spec().endpoints.end() ? watch->second->why_not_ready()
                                                            : watch->second->why_not_good(used->second);
      if (!why.empty()) return "needs upstream " + name + ": " + why;
      continue;
    }
    std::string why = "there is no such unit";
    for (const auto& r : instances_of(need)) {
      why = how_it_is(*r);
      const auto v = r->health_view();
      if (v.state != model::unit_state::running || v.health != model::health::healthy) continue;
      why.clear();
      break;
    }
    if (!why.empty()) return "needs " + need + ", which is " + why;
  }
  return {};
}

probe::stand_in supervisor::stand_in_of(const unit_runner& who, const std::string& unit) const {
  const auto all = instances_of(unit);
  probe::stand_in out{"not there any more"};
  for (const auto& r : all) {
    if (all.size() > 1 && all.size() == who.spec().instances && r->spec().id.index != who.spec().id.index) continue;
    const auto state = r->health_view().state;
    if (state == model::unit_state::running) return {"", r->main_pid()};
    out.down = model::unit_state_names.text(state);
  }
  return out;
}

}  // namespace hasup::daemon
