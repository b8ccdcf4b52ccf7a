#include "recovery/next_steps.hpp"

#include <utility>
#include <vector>

#include "base/joined.hpp"
#include "recovery/candidates.hpp"

namespace hasup::recovery {
namespace {

// In their order, as far as a recovery has them.
enum class station { look, select, fetch, wipe, unpack, swap, import, start, confirm };

station station_of_step(step then, mark at, bool runs) {
  switch (then) {
    case step::look:
    case step::rewipe:
    case step::start:
      break;
    case step::inspect:
      return station::look;
    case step::select:
      return station::select;
    case step::fetch:
      return station::fetch;
    case step::unpack:
      return station::unpack;
    case step::wipe:
      return station::wipe;
    case step::swap:
    case step::roll_back:
      return station::swap;
  }
  return at == mark::importing                              ? station::import
         : at == mark::loaded && runs                       ? station::confirm
         : at == mark::swapping || at == mark::rolling_back ? station::swap
                                                            : station::start;
}

station station_of(const state& s) {
  const auto at = s.done.at;
  if (const auto* p = std::get_if<pausing>(&s.now)) return station_of_step(p->then, at, false);
  if (is<selecting>(s)) return station::select;
  if (is<fetching>(s)) return station::fetch;
  if (is<unpacking>(s)) return station::unpack;
  if (is<taking_up>(s)) return s.done.sha256.empty() ? station::fetch : station::unpack;
  if (is<wiping_now>(s)) return station::wipe;
  if (is<measuring>(s)) return s.archive_ready ? station::wipe : at < mark::trying ? station::select : station::fetch;
  // Before the swap what is under way now may be the stop of the node, for what comes then.
  if (at == mark::staged) return station::swap;
  if (at == mark::wiping) return station::wipe;
  if (at == mark::trying) return s.archive_ready ? station::wipe : station::fetch;
  if (at < mark::trying) return is<gathering>(s) ? station::select : station::look;
  if (at == mark::swapped && !s.done.plan.recipe.import_command.empty()) return station::import;
  return station_of_step(step::start, at, is<running>(s));
}

std::string of_the_node(const frozen& plan) {
  const auto& r = plan.recipe;
  if (r.confirm == model::confirm_when::advancing)
    return "it is confirmed once the head has advanced beyond it for " +
           base::format_duration(r.confirm_advancing_for);
  const auto proving = r.proving_time(plan.tells_health);
  return std::string("it is confirmed once the node ") + (plan.tells_health ? "is healthy" : "runs") +
         (proving.count() > 0 ? " for " + base::format_duration(proving) : "") +
         (plan.tells_health ? "" : ", since no probe says how it is");
}

// Is the node still to be stopped for it?
bool runs_beside(const state& s) {
  return s.done.plan.asked.beside && !s.node_given && !s.inspected && !s.done.touched() && !is<quiescing>(s);
}

std::vector<std::string> steps_from(const state& s, station from) {
  const auto& plan = s.done.plan;
  const auto* chosen = from >= station::fetch ? s.done.chosen() : nullptr;
  const auto name = chosen != nullptr ? name_of(*chosen) : "the newest that fits";
  std::vector<std::string> out;
  auto subject = name + " ";
  const auto add = [&](station at, const std::string& what) {
    if (at >= from) out.push_back(std::exchange(subject, "it ") + what);
  };
  if (from == station::look) out.emplace_back("who has the data open is looked for");
  if (from <= station::select) out.emplace_back("the sources are asked for snapshots");
  add(station::fetch, "is fetched and verified");
  const bool to_wipe = s.in_place && !s.done.wiped_for_current;
  const bool stops = runs_beside(s);
  if (is<quiescing>(s) && s.readers == readers_of_data::down && from > station::select)
    out.emplace_back("what has the data open is stopped: the node, and units that read it");
  if (to_wipe && from <= station::wipe) {
    if (stops) out.emplace_back("the node is stopped");
    out.emplace_back("the old state is deleted to make room for it, with no way back");
  }
  add(station::unpack, "is unpacked");
  if (stops && !to_wipe && from <= station::swap) out.emplace_back("the node is stopped");
  add(station::swap, s.done.wiped || s.in_place ? "comes where the old state was"
                                                : "takes the place of the old state, which is put aside");
  if (!plan.recipe.import_command.empty() && from <= station::import) out.emplace_back("the import runs on it");
  if (from <= station::start) out.emplace_back("the node starts on it");
  out.push_back(of_the_node(plan));
  if (!s.done.wiped && !s.in_place) out.emplace_back("the old state is deleted");
  return out;
}

// Of those that were not tried yet, beside the one at hand.
std::size_t others_left(const progress& p) {
  std::size_t left = 0;
  for (std::size_t i = 0; i < p.candidates.size(); ++i)
    if (p.fates[i] == fate::untried && p.current != i) ++left;
  return left;
}

std::string otherwise(const state& s, bool returns) {
  const auto& p = s.done;
  const auto left = others_left(p);
  const auto next = p.candidates.empty() ? "the next one is tried, as long as there is one"
                    : left == 1          ? std::string("the one other that is left is tried")
                    : left > 1           ? "the next of " + std::to_string(left) + " others is tried"
                                         : std::string();
  if (p.no_way_back())
    return next.empty()
               ? "if that fails there is no other snapshot left, and no old state to put back: the unit fails, "
                 "and starts nothing"
               : "if that fails, " + next + "; there is no old state to put back";
  if (p.beyond_swap())
    return "if that fails, the old state is put back" + (!next.empty() ? " and " + next
                                                         : returns     ? ", and the node is started on it"
                                                                       : ", and the unit fails");
  const auto nothing = runs_beside(s) ? "the node runs on as it is"
                       : returns      ? "the node is started on the state that it has"
                                      : "the unit fails with its state untouched";
  return "if that fails, " + (next.empty() ? nothing : next + ", and with none left " + nothing);
}

std::string after_the_roll_back(const progress& p, bool returns) {
  switch (p.then) {
    case after_roll_back::again:
      return "then the same snapshot is tried once more";
    case after_roll_back::next:
      return others_left(p) > 0 ? "then the next one is tried, with " + std::to_string(others_left(p)) + " left"
             : returns          ? "then the node is started on the old state, since no other snapshot is left"
                                : "then the unit fails, since no other snapshot is left";
    case after_roll_back::end_refused:
    case after_roll_back::end_rolled_back:
      return returns ? "then the node is started on the old state as it was"
                     : "then the unit fails, on the old state as it was";
    case after_roll_back::end_by_hand:
      return "then the recovery is over";
  }
  return {};
}

}  // namespace

std::string what_comes_next(const state& s, bool returns) {
  const auto& p = s.done;
  if (is<idle>(s) || is<ended>(s)) return {};
  if (is<asking>(s)) return "nothing until a person says yes";
  if (is<cancelling>(s))
    return p.touched() ? "it is left where it is; `hasup start " + p.plan.unit + "` goes on with it"
                       : "the recovery ends, with nothing touched";
  if (is<undoing_leftover>(s)) return "what an earlier recovery left is cleared up; then this one goes on";
  if (const auto* stopping = std::get_if<stopping_node>(&s.now); stopping != nullptr && stopping->park)
    return "the node is stopped; `hasup start " + p.plan.unit + "` goes on with the recovery";
  if (p.at == mark::rolling_back)
    return (p.wiped ? "what it brought is taken away; " : "the old state is put back; ") +
           after_the_roll_back(p, returns);
  if (p.at == mark::confirmed)
    return p.wiped ? "the recovery ends: the node is confirmed"
                   : "the old state is deleted, and the recovery ends: the node is confirmed";
  const auto steps = steps_from(s, station_of(s));
  std::string out = is<gathering>(s)       ? "once the others of group " + p.plan.group + " are as far: "
                    : is<pausing>(s)       ? "when it is tried again: "
                    : is<awaiting_head>(s) ? "now: the node is asked for its head; if it still stands: "
                                           : "now: ";
  out += steps.front();
  if (steps.size() > 1) out += "; then: " + base::joined({steps.begin() + 1, steps.end()}, ", ");
  return out + "; " + otherwise(s, returns);
}

std::vector<std::string> ways_to_recover(const model::unit& unit, const memory& m, base::wall_time now) {
  const auto name = shown_name(unit);
  const auto& r = unit.recovery;
  std::vector<std::string> out{"hasup recover " + name + " --dry-run"};
  const bool spent = r.budget_count > 0 && swaps_within(m.swaps, r.budget_within, now) >= r.budget_count;
  if (spent)
    out.push_back("hasup recover " + name + "    (goes beyond the budget of " + std::to_string(r.budget_count) +
                  " recoveries within " + base::format_duration(r.budget_within) + ")");
  if (!m.bad.empty()) out.push_back("hasup recover " + name + " --from FILE    (from another archive)");
  if (spent || !m.bad.empty())
    out.push_back("hasup reset " + name + "    (forgets " +
                  (!spent          ? "which snapshots were bad"
                   : m.bad.empty() ? "the recoveries of the budget"
                                   : "the recoveries of the budget and which snapshots were bad") +
                  ", and starts again)");
  return out;
}

}  // namespace hasup::recovery
