// The text of `recover --dry-run`.
#include <algorithm>
#include <set>

#include <boost/json.hpp>

#include "base/byte_size.hpp"
#include "base/joined.hpp"
#include "base/time_text.hpp"
#include "model/source.hpp"
#include "recovery/candidates.hpp"
#include "recovery/machine.hpp"
#include "recovery/pace.hpp"
#include "recovery/space_plan.hpp"

namespace hasup::recovery {
namespace {

std::string listed(const std::vector<std::string>& names) {
  return names.empty() ? "nothing" : base::joined(names);
}

std::string describe(const model::snapshot& one) {
  std::string out = one.name + " from " + model::shown_url(one.source);
  std::string facts;
  const auto add = [&](const std::string& f) { facts += (facts.empty() ? " (" : ", ") + f; };
  if (one.block) add("block " + std::to_string(*one.block));
  if (one.time) add(base::format_time(*one.time));
  if (one.size) add(base::format_byte_size(*one.size));
  return out + facts + (facts.empty() ? "" : ")");
}

// What a person named is tried even when it is marked bad.
std::vector<ports::candidate> usable_of(const std::vector<ports::candidate>& all, const frozen& plan,
                                        const std::set<std::string>& bad,
                                        std::vector<std::string>* skipped = nullptr) {
  return plan.asked.from.empty() ? allowed(all, plan, bad, skipped) : all;
}

namespace json = boost::json;

json::object to_json(const model::snapshot& s) {
  json::object o{{"name", s.name},
                 {"source", model::shown_url(s.source)},
                 {"url", model::shown_url(s.url)},
                 {"block", nullptr},
                 {"time", nullptr},
                 {"size", nullptr}};
  if (s.block) o["block"] = *s.block;
  if (s.time) o["time"] = base::format_time(*s.time);
  if (s.size) o["size"] = *s.size;
  return o;
}

json::object to_json(const model::recovery_plan& p, std::size_t index, const std::vector<ports::candidate>& usable) {
  json::array snapshots;  // in the order in which they would be tried, each with all its archives
  for (const auto& c : usable) {
    if (c.plan != index) continue;
    json::array archives;
    for (const auto& s : c.snapshots) archives.emplace_back(to_json(s));
    snapshots.emplace_back(std::move(archives));
  }
  return {{"plan", p.name},
          {"replaced", json::value_from(p.wipe)},
          {"left_in_place", json::value_from(p.shared)},
          {"snapshots", std::move(snapshots)}};
}

}  // namespace

base::result<plan_description> describe_plan(const frozen& plan, const memory& remembered,
                                             const std::vector<ports::candidate>& candidates,
                                             const std::vector<std::string>& notes, instant now) {
  const auto& plans = plan.recipe.plans;
  const auto is_asked = [&](const model::recovery_plan& p) {
    return plan.asked.plan.empty() || p.name == plan.asked.plan;
  };
  const auto left_out = [&](const model::recovery_plan& p) { return is_asked(p) && !may_use(p, plan); };
  if (std::none_of(plans.begin(), plans.end(), is_asked)) {
    std::vector<std::string> names;
    for (const auto& p : plans) names.push_back("\"" + p.name + "\"");
    return base::error{"recipe " + plan.recipe.name + " has no plan \"" + plan.asked.plan + "\", only " +
                       listed(names)};
  }
  std::string out = "A recovery of " + plan.unit + " with recipe " + plan.recipe.name + " would do this:\n";
  const auto used = swaps_within(remembered.swaps, plan.budget_within, now.wall);
  if (plan.budget_count > 0 && used >= plan.budget_count)
    out += "  by itself nothing: the budget of " + std::to_string(plan.budget_count) + " recoveries within " +
           base::format_duration(plan.budget_within) + " is used up\n";

  json::array described;
  std::vector<std::string> skipped;
  const std::set<std::string> bad(remembered.bad.begin(), remembered.bad.end());
  const auto usable = usable_of(candidates, plan, bad, &skipped);
  for (std::size_t i = 0; i < plan.recipe.plans.size(); ++i) {
    const auto& p = plan.recipe.plans[i];
    if (!is_asked(p)) continue;
    described.emplace_back(to_json(p, i, usable));
    if (!plan.asked.from.empty() &&
        std::none_of(usable.begin(), usable.end(), [&](const ports::candidate& c) { return c.plan == i; }))
      continue;
    out += "plan \"" + p.name + "\" in " + plan.data_dir + "\n";
    if (left_out(p)) {
      out += "  loses what no archive brings of " + listed(p.wipe) + ": only with --plan \"" + p.name + "\"\n";
      continue;
    }
    out += plan.space == model::space_policy::in_place
               ? "  replaced, deleted before the new one is unpacked, with no way back: "
               : "  replaced, put aside until the node is confirmed: ";
    out += listed(p.wipe) + "\n";
    out += "  left in place: " + listed(p.shared) + "; never touched: " + listed(plan.recipe.keep) + "\n";
    unsigned number = 0;
    for (const auto& c : usable) {
      if (c.plan != i) continue;
      for (const auto& s : c.snapshots)
        out +=
            (&s == &c.snapshots.front() ? "  " + std::to_string(++number) + ". " : "     with ") + describe(s) + "\n";
    }
    if (number == 0) out += "  no snapshot fits\n";
  }
  if (!skipped.empty()) out += "marked bad, not used unless named with --snapshot: " + listed(skipped) + "\n";
  for (const auto& n : notes) out += "note: " + n + "\n";
  if (plan.mode == model::recovery_mode::ask && !plan.asked.yes)
    out += "It would ask before the state is replaced.\n";
  if (std::none_of(usable.begin(), usable.end(),
                   [&](const ports::candidate& c) { return c.plan < plans.size() && is_asked(plans[c.plan]); }))
    return base::error{out + "There is no snapshot to recover from" +
                       (plan.asked.snapshot.empty() ? "." : " that is named " + plan.asked.snapshot + ".")};
  return plan_description{
      out, json::serialize(json::object{{"unit", plan.unit},
                                        {"recipe", plan.recipe.name},
                                        {"data_dir", plan.data_dir},
                                        {"never_touched", json::value_from(plan.recipe.keep)},
                                        {"plans", std::move(described)},
                                        {"marked_bad", json::value_from(skipped)},
                                        {"notes", json::value_from(notes)},
                                        {"would_ask", plan.mode == model::recovery_mode::ask && !plan.asked.yes}})};
}

namespace {

// What a roll back would make of what the node goes on with.
std::string describe_shared(const model::recovery_plan& plan, unsigned index, const ports::room_found& room) {
  if (plan.shared.empty() || index >= room.not_cloned.size()) return {};
  const auto& why = room.not_cloned[index];
  return why.empty() ? "  cloned aside (reflink), so that a roll back is exact: " + listed(plan.shared) + "\n"
                     : "  " + why + ": a roll back keeps what the node wrote to " + listed(plan.shared) + "\n";
}

}  // namespace

base::result<std::string> describe_room(const frozen& plan, const memory& remembered,
                                        const std::vector<ports::candidate>& candidates,
                                        const ports::room_found& room) {
  std::string out;
  bool any = false;
  bool any_fits = false;
  bool any_swappable = false;
  std::set<unsigned> told;
  const std::set<std::string> bad(remembered.bad.begin(), remembered.bad.end());
  for (const auto& c : usable_of(candidates, plan, bad)) {
    const auto& p = plan.recipe.plans[c.plan];
    const auto found = decide_space(plan, c, room);
    any = true;
    any_fits = any_fits || found.fits;
    any_swappable = any_swappable || found.swappable;
    if (!told.insert(c.plan).second) continue;
    if (!found.swappable) {
      out += "plan \"" + p.name + "\" would be refused: " + found.text + "\n";
      continue;
    }
    out += "room for plan \"" + p.name + "\": " + found.text + (found.fits ? "" : "; it would be refused") + "\n";
    if (!found.in_place) out += describe_shared(p, c.plan, room);
    if (c.plan >= room.freed.size() || room.freed[c.plan] == 0) continue;  // there is none
    const auto old_state = "  the old state, " + base::format_byte_size(room.state[c.plan]) + ", ";
    if (!found.in_place)
      out += old_state + "stays until the node is confirmed\n";
    else
      out += old_state + "is deleted once the archive is here and verified: from then on there is no way back" +
             (plan.asked.yes ? "\n" : "; that is asked first (--yes)\n");
  }
  if (any && !any_swappable) return base::error{out + "None of the snapshots could be swapped in."};
  if (any && !any_fits) return base::error{out + "There is no room for any of the snapshots."};
  return base::success(std::move(out));
}

namespace {

json::value seconds(const std::optional<base::duration>& d) {
  return d ? json::value(std::chrono::duration<double>(*d).count()) : json::value(nullptr);
}

struct told_time {
  std::string text;
  json::object by_plan;
};

// Of what would be refused nobody asks how long it takes.
told_time describe_time(const frozen& plan, const memory& remembered, const std::vector<ports::candidate>& candidates,
                        const dry_run_facts& facts) {
  told_time out;
  std::set<unsigned> told;
  const std::set<std::string> bad(remembered.bad.begin(), remembered.bad.end());
  for (const auto& c : usable_of(candidates, plan, bad)) {
    const auto way = decide_space(plan, c, facts.room);
    if (!way.fits || !told.insert(c.plan).second) continue;
    const bool at_hand = facts.warm && facts.warm->unpacked && !facts.warm->candidates.empty() &&
                         facts.warm->candidates.front() == c && !way.in_place;
    const auto e = estimate_time(remembered.measured, c, way, at_hand);
    const auto& name = plan.recipe.plans[c.plan].name;
    out.text += "time for " + name_of(c) + " with plan \"" + name +
                "\": " + text_of(e, way.in_place, facts.node_runs, !plan.recipe.import_command.empty()) + "\n";
    json::object o{{"snapshot", name_of(c)},
                   {"fetch_s", seconds(e.fetch)},
                   {"unpack_s", seconds(e.unpack)},
                   {"total_s", seconds(e.total())},
                   {"unpacked_while_fetched", e.unpacked_meanwhile},
                   {"at_hand", e.at_hand},
                   {"node_runs_meanwhile", facts.node_runs},
                   {"measured_at", nullptr}};
    if (e.measured_at) o["measured_at"] = base::format_time(*e.measured_at);
    out.by_plan[name] = std::move(o);
  }
  return out;
}

}  // namespace

base::result<plan_description> with_room(plan_description described, const frozen& plan, const memory& remembered,
                                         const std::vector<ports::candidate>& candidates,
                                         const dry_run_facts& facts) {
  const auto& room = facts.room;
  const auto said = describe_room(plan, remembered, candidates, room);
  if (!said) return base::error{described.text + said.error().message};
  auto object = json::parse(described.json).as_object();
  json::array lines;
  for (std::size_t at = 0; at < said->size();) {
    const auto end = said->find('\n', at);
    lines.emplace_back(said->substr(at, end - at));
    at = end == std::string::npos ? said->size() : end + 1;
  }
  object["room"] = std::move(lines);
  // Shared entries by the reason for which they cannot be cloned aside: null = they can, or there are none.
  json::object not_cloned;
  for (std::size_t i = 0; i < plan.recipe.plans.size() && i < room.not_cloned.size(); ++i)
    not_cloned[plan.recipe.plans[i].name] =
        room.not_cloned[i].empty() ? json::value(nullptr) : json::value(room.not_cloned[i]);
  object["not_cloned"] = std::move(not_cloned);
  auto time = describe_time(plan, remembered, candidates, facts);
  object["time"] = std::move(time.by_plan);
  return plan_description{described.text + *said + time.text, json::serialize(object)};
}

}  // namespace hasup::recovery
