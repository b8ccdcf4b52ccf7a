#include "recovery/group.hpp"

#include <algorithm>

#include "base/joined.hpp"
#include "recovery/candidates.hpp"
#include "recovery/stepper.hpp"

namespace hasup::recovery {
namespace {

// A roll back after which the same backup is tried again is nobody else's business.
bool stays_with_the_set(const progress& p) {
  if (p.at != mark::rolling_back && p.at != mark::selected) return !p.undo_wanted;
  const bool follows = !p.plan.asked.leader.empty();
  return p.then == after_roll_back::again || (follows && p.then == after_roll_back::next);
}

member_stage stage_of(const progress& p) {
  switch (p.at) {
    case mark::none:
      return member_stage::none;
    case mark::begun:
      return member_stage::looking;
    case mark::selected:
    case mark::rolling_back:
      return p.current && stays_with_the_set(p) ? member_stage::found : member_stage::looking;
    case mark::trying:
    case mark::wiping:
      return member_stage::found;
    case mark::staged:
      return member_stage::staged;
    case mark::swapping:
    case mark::swapped:
    case mark::importing:
    case mark::imported:
    case mark::first_start:
    case mark::loaded:
      return member_stage::placed;
    case mark::confirmed:
      return member_stage::confirmed;
  }
  return member_stage::none;
}

}  // namespace

member_view view_of(const progress& p) {
  member_view v;
  v.unit = p.plan.unit;
  v.group = p.plan.group;
  v.at = stage_of(p);
  if (v.at == member_stage::none) return v;
  v.leader = p.plan.asked.leader;
  if (!stays_with_the_set(p)) return v;
  if (!v.leader.empty())
    v.set = p.plan.asked.set;
  else if (const auto* c = p.chosen(); c != nullptr && v.at >= member_stage::found)
    v.set = set_of(*c);
  return v;
}

member_view view_of(const state& s) {
  auto v = view_of(s.done);
  if (v.at == member_stage::placed && s.confirmed_by_itself) v.at = member_stage::ready;
  v.gave_up_on = s.gave_up_on;
  v.why = s.gave_up_why;
  return v;
}

bool stepper::is_grouped() const {
  return !s.done.plan.members.empty() || follows();
}

bool stepper::follows() const {
  return !s.done.plan.asked.leader.empty();
}

std::string stepper::group_set() const {
  if (follows()) return s.done.plan.asked.set;
  const auto* c = s.done.chosen();
  return c == nullptr ? "" : set_of(*c);
}

const member_view* stepper::member(const std::string& name) const {
  const auto found = std::find_if(s.others.begin(), s.others.end(), [&](const auto& v) { return v.unit == name; });
  return found == s.others.end() ? nullptr : &*found;
}

// The followers that are not as far as that.
std::vector<std::string> stepper::behind(member_stage at) const {
  std::vector<std::string> names;
  for (const auto& name : s.done.plan.members) {
    const auto* v = member(name);
    if (v == nullptr || !is_with_us(*v) || v->at < at) names.push_back(name);
  }
  return names;
}

bool stepper::leader_says(member_stage at) const {
  const auto* v = member(s.done.plan.asked.leader);
  return v != nullptr && v->set == group_set() && v->at >= at;
}

// Does the recovery wait for others here? Then it goes on with on_group().
bool stepper::gather() {
  if (!is_grouped()) return false;
  const bool is_staged = s.done.at == mark::staged;
  if (follows()) {
    if (!is_staged || leader_says(member_stage::placed)) return false;
    if (!std::holds_alternative<gathering>(s.now))
      say("gathering",
          chosen_name() + " is staged; waits until the whole group is, as " + s.done.plan.asked.leader + " will say");
    release_before_swap();
    s.now = gathering{};
    if (const auto why = leader_left(); !why.empty()) abandon(why);
    return true;
  }
  if (const auto trouble = group_trouble(); !trouble.empty()) {
    drop(fate::unreachable, trouble);
    return true;
  }
  const auto missing = behind(is_staged ? member_stage::staged : member_stage::found);
  if (missing.empty()) return false;
  if (!std::holds_alternative<gathering>(s.now))
    say("gathering", "waits for " + base::joined(missing) + " of group " + s.done.plan.group + " to have backup \"" +
                         group_set() + "\" " + (is_staged ? "staged" : "found"));
  release_before_swap();
  s.now = gathering{};
  call_members();
  return true;
}

// Those that do nothing yet. One that gave up on this backup already is not asked again.
void stepper::call_members() {
  std::vector<std::string> idle;
  for (const auto& name : s.done.plan.members) {
    const auto* v = member(name);
    if (v != nullptr && v->at == member_stage::none && v->gave_up_on != group_set()) idle.push_back(name);
  }
  if (!idle.empty()) out.emplace_back(call_group{std::move(idle), group_set()});
}

void stepper::on_group(const group_seen& e) {
  s.others = e.members;
  s.others_seen = true;
  if (!is_grouped() || s.done.at == mark::none || std::holds_alternative<ended>(s.now)) return;
  if (std::holds_alternative<cleaning>(s.now)) return settle_clean_up();
  return follows() ? follow() : lead();
}

// The first that cannot have this backup; "" = none.
std::string stepper::group_trouble() const {
  for (const auto& v : s.others) {
    if (v.at == member_stage::none && v.gave_up_on == group_set() && !group_set().empty())
      return v.unit + " of group " + s.done.plan.group + " cannot have backup \"" + group_set() + "\": " + v.why;
    // It has no journal: it ended while nobody saw it, or was taken out of the group.
    if (v.at == member_stage::none && s.done.beyond_swap())
      return v.unit + " of group " + s.done.plan.group + " is not restored from backup \"" + group_set() + "\"";
  }
  if (s.others_seen)
    for (const auto& name : s.done.plan.members)
      if (member(name) == nullptr) return name + " is not in group " + s.done.plan.group + " any more";
  return {};
}

void stepper::lead() {
  // Two members found at the same time that they are broken: the first by name leads, unless one is further.
  if (!s.done.beyond_swap())
    for (const auto& v : s.others)
      if (v.leader.empty() && v.at != member_stage::none && (v.unit < unit_name() || v.at >= member_stage::placed))
        return abandon(v.unit + " restores group " + s.done.plan.group);
  if (std::holds_alternative<gathering>(s.now)) {
    if (gather()) return;
    return s.done.at == mark::staged ? stage_is_ready() : make_sure_of_room();
  }
  if (!s.done.can_undo_swap() || s.done.at == mark::rolling_back || s.done.undo_wanted) return;
  if (const auto trouble = group_trouble(); !trouble.empty()) return undo_for_group(trouble);
  if (std::holds_alternative<running>(s.now) && s.confirmed_by_itself) return on_confirmed();
}

// Why the leader's word is not to be waited for any more; "" = it is. Nobody may have looked yet.
std::string stepper::leader_left() const {
  const auto* leader = member(s.done.plan.asked.leader);
  if (leader == nullptr)
    return s.others_seen ? s.done.plan.asked.leader + " of group " + s.done.plan.group + " is gone" : "";
  if (leader->at != member_stage::none && leader->leader.empty() && leader->set == group_set()) return {};
  return leader->unit + ", which leads group " + s.done.plan.group + ", does not restore backup \"" + group_set() +
         "\" any more";
}

void stepper::follow() {
  if (group_has_confirmed()) {
    if (std::holds_alternative<running>(s.now) && s.done.at == mark::loaded) return on_confirmed();
    return;
  }
  if (const auto why = leader_left(); !why.empty()) {
    if (!s.done.beyond_swap()) return abandon(why);
    if (s.done.can_undo_swap() && s.done.at != mark::rolling_back && !s.done.undo_wanted) undo_for_group(why);
    return;
  }
  if (std::holds_alternative<gathering>(s.now) && !gather()) stage_is_ready();
}

// Nothing was touched, and nothing is held against anybody.
void stepper::abandon(const std::string& why) {
  if (!s.abandoned.empty()) return;
  s.abandoned = why;
  stop(false);
}

void stepper::undo_for_group(const std::string& why) {
  using std::holds_alternative;
  const bool busy = holds_alternative<swapping_now>(s.now) || holds_alternative<rewiping>(s.now) ||
                    holds_alternative<starting>(s.now) || holds_alternative<looking>(s.now);
  commit(undo_wanted{why});
  if (!busy) return undo();
  if (holds_alternative<starting>(s.now)) out.emplace_back(stop_node{});  // it may wait for what it requires
}

// Is it the group's decision that everybody keeps what is in place?
bool stepper::group_confirms() const {
  if (!is_grouped()) return true;
  return group_has_confirmed() || (!follows() && behind(member_stage::ready).empty());
}

// One of the others that restore this backup, too.
bool stepper::is_with_us(const member_view& v) const {
  const auto& leader = s.done.plan.asked.leader;
  const bool same_lead = follows() ? v.leader == leader || v.unit == leader : v.leader == unit_name();
  return same_lead && v.set == group_set();
}

bool stepper::group_has_confirmed() const {
  return std::any_of(s.others.begin(), s.others.end(),
                     [&](const member_view& v) { return is_with_us(v) && v.at == member_stage::confirmed; });
}

// The others have no way back any more, or will have none in a moment.
bool stepper::group_keeps() const {
  return s.done.at == mark::loaded &&
         (group_has_confirmed() || std::any_of(s.others.begin(), s.others.end(),
                                               [&](const member_view& v) { return is_with_us(v) && v.deciding; }));
}

// The old state of this one would not fit theirs.
void stepper::keep_with_the_group(bool node_up, const std::string& why) {
  commit(confirmed{});
  say("confirmed", why + "; " + chosen_name() + " stays: group " + s.done.plan.group + " is confirmed on it");
  out.emplace_back(cancel_timer{});
  release();
  clean_up(node_up);
}

// What the group decided stands in this journal, and somebody may still have to look it up.
bool stepper::group_may_need_us() const {
  if (is_grouped() && !s.others_seen) return true;
  return std::any_of(s.others.begin(), s.others.end(), [&](const member_view& v) {
    return is_with_us(v) && v.at > member_stage::none && v.at < member_stage::confirmed;
  });
}

}  // namespace hasup::recovery
