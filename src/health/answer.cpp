#include "health/answer.hpp"

#include <algorithm>

namespace hasup::health {
namespace {

using model::unit_state;
using views = std::vector<const instance_view*>;

bool serves(const instance_view& i) {
  return i.state == unit_state::running && i.health == model::health::healthy;
}

// Reasons quote what nodes print: nothing of it may begin a line of its own.
std::string one_line(std::string_view text, std::size_t longest) {
  std::string out(text.substr(0, longest));
  for (auto& c : out)
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) c = ' ';
  return out;
}

std::string word_for(const instance_view& i) {
  if (i.draining) return "draining";
  if (i.state == unit_state::running) return std::string(model::health_names.text(i.health));
  return std::string(model::unit_state_names.text(i.state));
}

std::string told(const instance_view& i) {
  constexpr std::size_t longest = 500;
  return word_for(i) + (i.reason.empty() || serves(i) ? "" : ": " + one_line(i.reason, longest));
}

std::string name_of(const model::health_member& m) {
  return m.unit.index ? model::to_text(model::instance_id{m.unit.unit, *m.unit.index}) : m.unit.unit;
}

// How one unit of a group is.
struct found {
  views all;
  std::size_t healthy = 0;
  std::size_t draining = 0;
  bool enough = false;
};

found look_at(const model::health_member& m, const std::vector<instance_view>& all) {
  found f;
  for (const auto& i : all)
    if (i.id.unit == m.unit.unit && (!m.unit.index || *m.unit.index == i.id.index)) f.all.push_back(&i);
  f.healthy = static_cast<std::size_t>(
      std::count_if(f.all.begin(), f.all.end(), [](const instance_view* i) { return serves(*i); }));
  f.draining = static_cast<std::size_t>(
      std::count_if(f.all.begin(), f.all.end(), [](const instance_view* i) { return i->draining; }));
  f.enough = f.healthy >= m.min && f.healthy > 0;
  return f;
}

std::string line_of(const model::health_member& m, const found& f) {
  const auto name = name_of(m) + ": ";
  if (f.all.empty()) return name + "no such unit";
  if (f.all.size() == 1) return name + told(*f.all.front());
  auto line = name + std::to_string(f.healthy) + " of " + std::to_string(f.all.size()) + " healthy";
  if (m.min > 1) line += ", at least " + std::to_string(m.min) + " needed";
  for (const auto* i : f.all)
    if (!serves(*i)) line += "; " + model::to_text(i->id) + " " + told(*i);
  return line;
}

// Weights are whole percents. What is up has some.
unsigned percent(const found& f) {
  return std::max(1U, static_cast<unsigned>(f.healthy * 100 / f.all.size()));
}

// Why the group is not up, in HAProxy's words. What is being restored comes back by itself, but not soon; of what
// else is wrong the first unit is named, and the page of the group has them all.
std::string agent_down(const model::health_group& g, const std::vector<found>& units) {
  constexpr std::size_t longest = 120;
  // With those that drain each unit would have enough: connections that are open may come to their end.
  bool drains = true;
  const found* first = nullptr;
  const model::health_member* member = nullptr;
  for (std::size_t n = 0; n < units.size(); ++n) {
    if (units[n].enough) continue;
    drains = drains && units[n].healthy + units[n].draining >= g.units[n].min;
    for (const auto* i : units[n].all)
      if (i->restoring) return "stopped #restoring snapshot";
    if (first == nullptr) {
      first = &units[n];
      member = &g.units[n];
    }
  }
  if (first == nullptr) return "down #no units";
  if (drains) return "drain";
  const bool taken_down = !first->all.empty() && std::all_of(first->all.begin(), first->all.end(), [](const auto* i) {
    return i->state == unit_state::stopped ||
           (i->state == unit_state::stopping && i->desired == model::desired::down);
  });
  return std::string(taken_down ? "stopped #" : "down #") + one_line(line_of(*member, *first), longest);
}

}  // namespace

answer answer_for(const model::health_group& group, const std::vector<instance_view>& all) {
  std::vector<found> units;
  answer a;
  a.healthy = !group.units.empty();
  unsigned weight = 100;
  for (const auto& m : group.units) {
    units.push_back(look_at(m, all));
    const auto& f = units.back();
    a.healthy = a.healthy && f.enough;
    a.text += line_of(m, f) + "\n";
    // Requests need all of its units: the scarcest one says how many it can take.
    if (f.enough) weight = std::min(weight, percent(f));
  }
  a.agent = a.healthy ? "ready up " + std::to_string(weight) + "%" : agent_down(group, units);
  return a;
}

answer answer_for(std::string_view name, const std::vector<instance_view>& all,
                  const std::vector<model::health_group>& groups) {
  for (const auto& g : groups)
    if (g.name == name) return answer_for(g, all);
  model::health_group alone;
  if (const auto ref = model::parse_unit_reference(name)) alone.units.push_back({*ref, 1});
  if (alone.units.empty() || look_at(alone.units.front(), all).all.empty()) {
    answer none;
    none.known = false;
    none.text = "no unit and no [[health]] group of this name\n";
    return none;
  }
  return answer_for(alone, all);
}

}  // namespace hasup::health
