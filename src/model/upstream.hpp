// A role that several servers can fill, as written in upstreams/NAME.toml: which they are, how each is asked
// how it is, and when another one is taken.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "base/duration.hpp"
#include "base/enum_names.hpp"
#include "model/probe.hpp"

namespace hasup::model {

// best_head: the one that is furthest. sticky: the best at first, and another one only when this one is no good.
// priority: the first in the file that is good.
enum class upstream_select { best_head, sticky, priority };
inline constexpr base::enum_names<upstream_select, 3> upstream_select_names{
    {{{upstream_select::best_head, "best_head"},
      {upstream_select::sticky, "sticky"},
      {upstream_select::priority, "priority"}}}};

// When a server that is still good is left for a better one: it was behind by so much, for so long, and it was kept
// at least so long. For best_head and priority; a priority has no `behind`.
struct switch_rule {
  base::duration behind{10'000};
  base::duration held{30'000};  // key "for"
  base::duration min_dwell{300'000};

  friend bool operator==(const switch_rule&, const switch_rule&) = default;
};

struct upstream_endpoint {
  std::string name;                           // unique in its upstream
  std::map<std::string, std::string> values;  // its keys, name among them: ${upstream.NAME.KEY}
  probe asked;                                // the upstream's probe with ${endpoint.KEY} filled in

  friend bool operator==(const upstream_endpoint&, const upstream_endpoint&) = default;
};

struct upstream {
  std::string name;  // "leap"; of one that stands in a unit "miner/leap"
  upstream_select select = upstream_select::best_head;
  switch_rule rule;
  base::duration leave_for{3'600'000};  // by a unit that ended because of an endpoint (class_action::next_endpoint)
  bool restart_on_change = true;        // on_change: units that run with the old one are restarted
  std::string join = ",";               // between the values of all endpoints: ${upstream.NAME.KEYs}
  std::vector<upstream_endpoint> endpoints;

  friend bool operator==(const upstream&, const upstream&) = default;
};

}  // namespace hasup::model
