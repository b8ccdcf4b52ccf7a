// The rules of waiting.
#include "cli/wait_rule.hpp"

#include "cli/status_table.hpp"

namespace hasup::cli {
namespace {

using model::unit_state;

bool is_at_rest(unit_state s) {
  return s == unit_state::stopped || s == unit_state::failed || s == unit_state::completed;
}

// Is what is seen the outcome of the command, and not what was there before it?
bool is_fresh(const sighting& s) {
  return s.moved || s.grace_over || s.now.since != s.before.since || s.now.state != s.before.state;
}

// No state that leads on by itself.
bool is_dead_end(const sighting& s) {
  const auto state = s.now.state;
  if (state == unit_state::failed || state == unit_state::asking) return is_fresh(s);
  return state == unit_state::stopped && s.now.desired == model::desired::down && is_fresh(s);
}

}  // namespace

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
      if (fine && (s.now.recoveries > s.before.recoveries || is_fresh(s)) && !s.now.recovery)
        return standing::reached;
      break;
  }
  // Waiting only looks: what has failed before it began stays failed.
  const bool only_looks = g == goal::healthy || g == goal::running || g == goal::completed;
  if (only_looks) {
    if (state == unit_state::failed || state == unit_state::asking) return standing::lost;
    return standing::pending;
  }
  return is_dead_end(s) ? standing::lost : standing::pending;
}

std::string goal_text(goal g) {
  switch (g) {
    case goal::started:
    case goal::restarted:
    case goal::healthy:
      return "healthy";
    case goal::recovered:
      return "recovered and healthy";
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

}  // namespace hasup::cli
