#include "cli/probe_others.hpp"

#include "control/upstream_status.hpp"
#include "process/shim_client.hpp"

namespace hasup::cli {
namespace {

constexpr std::string_view upstream_prefix = "upstream.";

std::string lacking_upstream(const context& c, const model::unit& unit, const std::string& word) {
  if (!unit.choices.all || !unit.choices.all->roles.contains(word)) return {};
  const auto& name = unit.choices.all->roles.at(word).name;
  control::command command;
  command.verb = "upstream";
  command.targets = {name};
  const auto reply = c.daemon.execute(command);
  if (!reply || reply->code != exit_code::done) return {};
  const auto all = control::decode_upstreams(reply->body);
  if (!all || all->empty()) return {};
  for (const auto& e : all->front().endpoints)
    if (e.chosen && e.health == "healthy") return {};
  return "needs upstream " + name + ": " + all->front().reason;
}

}  // namespace

std::string lacking_need(const context& c, const control::host_status& now, const model::unit& unit,
                         const model::probe& probe) {
  for (const auto& need : probe.needs) {
    if (need.starts_with(upstream_prefix)) {
      if (auto why = lacking_upstream(c, unit, need.substr(upstream_prefix.size())); !why.empty()) return why;
      continue;
    }
    std::string why = "needs " + need + ", which the daemon does not know";
    for (const auto& u : now.units) {
      if (u.unit != need) continue;
      const bool runs = u.state == model::unit_state::running;
      why.clear();
      if (runs && u.health == model::health::healthy) break;
      why = "needs " + need + ", which is " +
            std::string(runs ? model::health_names.text(u.health) : model::unit_state_names.text(u.state)) + ": " +
            u.reason;
    }
    if (!why.empty()) return why;
  }
  return {};
}

void add_run(const context& c, const control::host_status& now, const model::unit& unit, probe::target& whom) {
  bool runs = false;
  for (const auto& u : now.units)
    if (u.unit == unit.id.unit && u.instance == unit.id.index) {
      whom.main_pid = u.pid.value_or(0);
      runs = u.pid.has_value();
    }
  if (runs)
    whom.output = [where = process::directories{c.dirs.state, c.dirs.run, {}},
                   name = to_text(unit.id)](std::uint64_t from) {
      auto piece = process::read_output(where, name, 0, from);
      if (!piece) return base::result<probe::output_piece>(piece.error());
      return base::result<probe::output_piece>(boost::system::in_place_value,
                                               probe::output_piece{std::move(piece->text), piece->next});
    };
  whom.through = [units = now.units, unit](const std::string& name) {
    probe::stand_in out{"not known to the daemon"};
    for (const auto& u : units) {
      if (u.unit != name) continue;
      if (u.instances > 1 && u.instances == unit.instances && u.instance != unit.id.index) continue;
      if (u.state == model::unit_state::running) return probe::stand_in{"", u.pid.value_or(0)};
      out.down = model::unit_state_names.text(u.state);
    }
    return out;
  };
}

}  // namespace hasup::cli
