// Units that are restored as one set ([recovery] group): each hears how far the others are.
#include <algorithm>
#include <boost/asio/post.hpp>

#include "daemon/supervisor.hpp"

namespace hasup::daemon {

supervisor::runners supervisor::group_of(const unit_runner& who) const {
  runners out;
  const auto group = who.group_view().group;
  if (group.empty()) return out;
  for (const auto& [id, r] : runners_)
    if (r.get() != &who && r->group_view().group == group) out.push_back(r);
  return out;
}

std::vector<std::string> supervisor::group_members(const unit_runner& who) const {
  std::vector<std::string> out;
  for (const auto& r : group_of(who)) out.push_back(r->group_view().unit);
  return out;
}

bool supervisor::group_asks(const unit_runner& who) const {
  const auto others = group_of(who);
  return std::any_of(others.begin(), others.end(),
                     [](const auto& r) { return r->spec().recovery.mode == model::recovery_mode::ask; });
}

void supervisor::begin_group(const unit_runner& leader) {
  for (const auto& r : group_of(leader)) r->forget_giving_up();
}

void supervisor::call_group(const unit_runner& leader, const std::vector<std::string>& members,
                            const std::string& set) {
  for (const auto& r : group_of(leader)) {
    const auto name = r->group_view().unit;
    if (std::find(members.begin(), members.end(), name) == members.end()) continue;
    r->follow(leader.group_view().unit, set, stops_.contains(r->spec().id) ? "it is being stopped" : "");
  }
}

std::vector<recovery::member_view> supervisor::group_views(const unit_runner& who) const {
  std::vector<recovery::member_view> out;
  for (const auto& r : group_of(who)) out.push_back(r->group_view());
  return out;
}

void supervisor::group_moved(const unit_runner& who) {
  const auto group = who.group_view().group;
  tell_group_soon(group);
  if (who.spec().recovery.group != group) tell_group_soon(who.spec().recovery.group);
}

// From a fresh call: whoever moved is in the middle of its own.
void supervisor::tell_group_soon(const std::string& group) {
  if (group.empty() || !moved_groups_.insert(group).second) return;
  boost::asio::post(services_.loop, [this, group] { tell_group(group); });
}

void supervisor::tell_group(const std::string& group) {
  moved_groups_.erase(group);
  const auto all = runners_;  // telling one may change the others
  for (const auto& [id, r] : all) {
    if (!r->recovery_active() || r->group_view().group != group) continue;
    r->on_group();
    r->look_at_requirements();
  }
}

}  // namespace hasup::daemon
