#include "upstream/own_choice.hpp"

#include <algorithm>
#include <utility>

namespace hasup::upstream {
namespace {

using model::upstream_select;

const endpoint_view* find(const std::vector<endpoint_view>& all, const std::string& name) {
  const auto at = std::find_if(all.begin(), all.end(), [&](const auto& e) { return e.name == name; });
  return at == all.end() ? nullptr : &*at;
}

// What a person says counts before what a run has seen.
bool is_better(upstream_select select, const own_memory& own, base::wall_time now, const endpoint_view& a,
               const endpoint_view& b) {
  if (a.avoided != b.avoided) return b.avoided;
  const bool left = is_left(own, a.name, now);
  if (left != is_left(own, b.name, now)) return !left;
  if (left) return own.left.at(a.name).at < own.left.at(b.name).at;
  if (select == upstream_select::priority) return false;
  return a.at && (!b.at || is_before(*b.at, *a.at));
}

}  // namespace

bool is_left(const own_memory& own, const std::string& endpoint, base::wall_time now) {
  const auto it = own.left.find(endpoint);
  return it != own.left.end() && now < it->second.until;
}

bool leave(own_memory& own, const model::upstream& role, const std::string& endpoint, std::string why,
           base::wall_time now) {
  if (role.endpoints.size() < 2) return false;
  own.left[endpoint] = {now, now + role.leave_for, std::move(why)};
  return true;
}

void forget_old(own_memory& own, const model::upstream& role, base::wall_time now) {
  const auto& all = role.endpoints;
  std::erase_if(own.left, [&](const auto& left) {
    const bool there = !role.dns_names.empty() ||  // whose address may come back
                       std::any_of(all.begin(), all.end(), [&](const auto& e) { return e.name == left.first; });
    return !there || now >= left.second.until;
  });
  for (auto& [endpoint, left] : own.left) left.until = std::min(left.until, now + role.leave_for);
}

std::string endpoint_for_start(const model::upstream& role, const role_view& seen, const own_memory& own,
                               base::wall_time now) {
  if (!is_left(own, seen.chosen, now)) return seen.chosen;
  const endpoint_view* best = nullptr;
  bool waits = false;
  for (const auto& e : seen.all) {
    if (e.is == standing::good && (!best || is_better(role.select, own, now, e, *best))) best = &e;
    waits = waits || (e.is == standing::undecided && !e.avoided && !is_left(own, e.name, now));
  }
  // One that nothing speaks against may answer yet, before one that does has another try.
  const bool second_best = best && (best->avoided || is_left(own, best->name, now));
  if (!best || (second_best && waits && !seen.all_told)) return {};
  return best->name;
}

std::string endpoint_for_run(const model::upstream& role, const role_view& seen, const own_memory& own,
                             const std::string& used, base::wall_time now) {
  if (seen.chosen.empty() || seen.chosen == used) return used;
  if (!own.apart && !is_left(own, seen.chosen, now)) {
    const auto* chosen = find(seen.all, seen.chosen);
    return chosen && chosen->is == standing::good ? seen.chosen
                                                  : used;  // a run ends for one that is known to be good
  }
  const auto* mine = find(seen.all, used);
  const bool good = mine && mine->is != standing::bad;
  if (good && !mine->avoided) return used;
  const auto next = endpoint_for_start(role, seen, own, now);
  const auto* other = find(seen.all, next);
  if (!other || other->is != standing::good || (good && other->avoided)) return used;
  return next;
}

}  // namespace hasup::upstream
