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

// Of one name more are not used: units differ by their endpoints, and each set of those is a whole unit.
inline constexpr std::size_t most_addresses = 8;

struct known_address {
  std::string host;   // as in a URL: "10.0.0.2", "[2001:db8::2]"
  bool gone = false;  // see upstream_endpoint

  friend bool operator==(const known_address&, const known_address&) = default;
};
// By DNS name.
using address_book = std::map<std::string, std::vector<known_address>>;

struct upstream_endpoint {
  std::string name;                           // unique in its upstream
  std::map<std::string, std::string> values;  // its keys, name among them: ${upstream.NAME.KEY}
  probe asked;                                // the upstream's probe with ${endpoint.KEY} filled in
  std::string dns{};                          // the name whose address it is; "" = it stands in the file itself
  bool unresolved = false;                    // no address of that name is known: it stands for all of them
  bool gone = false;                          // the name has this address no more, but something runs with it

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
  std::vector<std::string> dns_names;  // whose addresses are endpoints
  base::duration resolve_every{30'000};
  base::duration keep_address_for{300'000};  // that the name has no more

  friend bool operator==(const upstream&, const upstream&) = default;
};

}  // namespace hasup::model
