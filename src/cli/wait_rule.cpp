// The rules of waiting.
#include "cli/wait_rule.hpp"

#include <map>

#include "base/time_text.hpp"
#include "cli/status_table.hpp"

namespace hasup::cli {
namespace {

using model::unit_state;

bool is_at_rest(unit_state s) {
  return s == unit_state::stopped || s == unit_state::failed || s == unit_state::completed;
}

bool failed_for_good(const control::instance_status& u) {
  return u.state == unit_state::failed && !u.next_attempt_at;
}

bool stands_still(const control::instance_status& u) {
  return failed_for_good(u) || u.state == unit_state::asking;
}

// No state that leads on by itself.
bool is_dead_end(const sighting& s) {
  if (stands_still(s.now)) return is_fresh(s);
  return s.now.state == unit_state::stopped && s.now.desired == model::desired::down && is_fresh(s);
}

// "leap" of "leap (healthy)".
std::string unit_in(const std::string& waiting_for) {
  return waiting_for.substr(0, waiting_for.find(' '));
}

using settled_rule = std::function<bool(const control::instance_status&)>;

struct blockers {
  const std::vector<control::instance_status>& all;
  const settled_rule& settled;
  std::map<std::string, std::string> known = {};  // unit -> "leap, which has failed …"; "" = there is hope

  std::string of(const control::instance_status& who) {
    if (who.state != unit_state::waiting) return {};
    for (const auto& entry : who.waiting_for)
      if (const auto why = of_unit(unit_in(entry)); !why.empty()) return "waits for " + why;
    return {};
  }

 private:
  // Of several instances one is enough: all of them must be beyond hope.
  const std::string& of_unit(const std::string& unit) {
    const auto [it, fresh] = known.emplace(unit, "");  // hope while it is looked at: no endless way around a loop
    if (!fresh) return it->second;
    std::string first;
    for (const auto& u : all) {
      if (u.unit != unit) continue;
      const auto why = of_instance(u);
      if (why.empty()) return it->second;
      if (first.empty()) first = why;
    }
    return it->second = first;
  }

  std::string of_instance(const control::instance_status& u) {
    const auto name = control::display_name(u);
    if (const auto further = of(u); !further.empty()) return name + ", which " + further;
    if (!stands_still(u) || !settled(u)) return {};
    const bool asks = u.state == unit_state::asking;
    auto text = name + ", which " + (asks ? "asks for a person" : "has failed");
    if (!u.reason.empty()) text += ": " + printable(u.reason);
    text += "; `hasup why " + name + "`";
    if (asks) text += ", `hasup recover " + name + " --yes` goes on";
    return text;
  }
};

}  // namespace

bool is_fresh(const sighting& s) {
  return s.moved || s.grace_over || s.now.since != s.before.since || s.now.state != s.before.state;
}

bool only_looks(goal g) {
  return g == goal::healthy || g == goal::running || g == goal::completed;
}

std::string blocked_by(const control::instance_status& who, const std::vector<control::instance_status>& all,
                       const settled_rule& settled) {
  return blockers{all, settled}.of(who);
}

std::string retry_text(const control::instance_status& u) {
  if (u.state != unit_state::failed || !u.next_attempt_at) return {};
  return "next attempt at " + base::format_time(*u.next_attempt_at);
}

standing judge(goal g, const sighting& s) {
  const auto state = s.now.state;
  const bool fine = is_fine(s.now);
  switch (g) {
    case goal::stopped:
    case goal::at_rest:
      return is_at_rest(state) ? standing::reached : standing::pending;
    case goal::completed:
      if (state == unit_state::completed) return standing::reached;
      break;
    case goal::settled:
      if (fine || (is_at_rest(state) && s.now.desired == model::desired::down)) return standing::reached;
      break;
    case goal::running:
      if (state == unit_state::running) return standing::reached;
      break;
    case goal::healthy:
      if (fine) return standing::reached;
      break;
    case goal::started:
      if (fine) return standing::reached;
      break;
    case goal::restarted:
      if (fine && (!s.before.pid || s.now.pid != s.before.pid || s.now.restarts > s.before.restarts))
        return standing::reached;
      break;
    case goal::recovered:
      if (fine && s.now.recoveries > s.before.recoveries && !s.now.recovery) return standing::reached;
      // It runs on or again, but on the state that it had.
      if (state == unit_state::running && !s.now.recovery && (fine || s.now.pid == s.before.pid) && is_fresh(s))
        return standing::lost;
      if (state == unit_state::running && s.now.recovery && s.now.recovery->asks) return standing::lost;
      break;
    case goal::rolled_back:
      // A unit that was healthy before its recovery is started again at once; any other rests and says why.
      if (!s.moved || s.now.recovery || state == unit_state::recovering || state == unit_state::stopping) break;
      if (!is_at_rest(state) || s.now.reason.starts_with("rolled back by hand")) return standing::reached;
      break;
  }
  // Waiting only looks: what has failed before it began stays failed.
  if (only_looks(g)) return stands_still(s.now) ? standing::lost : standing::pending;
  return is_dead_end(s) ? standing::lost : standing::pending;
}

std::string goal_text(goal g) {
  switch (g) {
    case goal::started:
    case goal::restarted:
    case goal::healthy:
    case goal::settled:
      return "healthy";
    case goal::recovered:
      return "recovered and healthy";
    case goal::rolled_back:
      return "rolled back: its old state is in place";
    case goal::running:
      return "running";
    case goal::completed:
      return "completed";
    case goal::stopped:
    case goal::at_rest:
      break;
  }
  return "stopped";
}

std::string reached_text(goal g, std::size_t completed, std::size_t all) {
  const auto text = goal_text(g);
  const bool may_complete = text != goal_text(goal::stopped) && g != goal::running;
  if (completed == 0 || !may_complete || g == goal::completed) return text;
  return completed == all ? goal_text(goal::completed) : text + " or " + goal_text(goal::completed);
}

}  // namespace hasup::cli
