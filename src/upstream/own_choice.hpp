// Which endpoint of a role one instance uses when it has left some: those of which its own runs ended
// (next_endpoint). What it leaves, others go on with: the choice of the role stays as it is. Pure: time is an
// argument.
//
//   nothing left --> the chosen one of the role
//   the chosen one is left --> another good one, by the rule of the role; all are left --> that of longest ago
//   its run has another one than the chosen one (apart) --> it is kept while it is good, whatever the role does
#pragma once

#include <map>
#include <string>
#include <vector>

#include "base/duration.hpp"
#include "model/upstream.hpp"
#include "upstream/choice.hpp"

namespace hasup::upstream {

struct left_endpoint {
  base::wall_time at{};
  base::wall_time until{};  // a start takes it again from then on
  std::string why;          // the exit, for a person

  friend bool operator==(const left_endpoint&, const left_endpoint&) = default;
};

// What one instance keeps of a role. It survives hasupd.
struct own_memory {
  std::map<std::string, left_endpoint> left;  // by name of the endpoint
  bool apart = false;

  [[nodiscard]] bool empty() const { return left.empty() && !apart; }
  friend bool operator==(const own_memory&, const own_memory&) = default;
};

[[nodiscard]] bool is_left(const own_memory& own, const std::string& endpoint, base::wall_time now);

// A run ended because of it. False: the role has no other one, so that nothing is left.
bool leave(own_memory& own, const model::upstream& role, const std::string& endpoint, std::string why,
           base::wall_time now);

// What is over, or no longer in the file, is forgotten; a start begins with that. A clock that was set back, or a
// shorter leave_for, keeps nothing left for longer.
void forget_old(own_memory& own, const model::upstream& role, base::wall_time now);

// All endpoints of a role as they are, and the choice of the role.
struct role_view {
  std::vector<endpoint_view> all;
  std::string chosen;     // "" = none
  bool all_told = false;  // none that has not answered yet, or they had their time
};

// For a start: the one it takes; "" = it waits. The chosen one is named whatever its standing is, another one only
// when it is good.
[[nodiscard]] std::string endpoint_for_start(const model::upstream& role, const role_view& seen,
                                             const own_memory& own, base::wall_time now);

// For a run that uses `used`: the one it is to be restarted with; `used` = it goes on.
[[nodiscard]] std::string endpoint_for_run(const model::upstream& role, const role_view& seen, const own_memory& own,
                                           const std::string& used, base::wall_time now);

}  // namespace hasup::upstream
