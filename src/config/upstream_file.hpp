// upstreams/NAME.toml, and [upstream.NAME] of a unit -> model::upstream; and which of them a unit uses.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "config/document.hpp"
#include "config/unit_file.hpp"
#include "config/unit_variables.hpp"
#include "model/upstream.hpp"

namespace hasup::config {

// `table` as it was read: its strings know ${endpoint.KEY} and nothing else. `name`: what people call it.
std::optional<model::upstream> read_upstream(const std::string& name, value table, const file_context& context,
                                             report& findings);

// The upstreams of one unit, by the word behind "upstream.".
struct used_upstreams {
  std::map<std::string, model::upstream> roles;  // those that a start waits for
  std::set<std::string> chosen_from;             // those by whose choice the unit differs
  std::set<std::string> listed;                  // those with DNS names of which it has only ${upstream.NAME.KEYs}
  std::map<std::string, value> tables;           // as they were written, also of those that stand in the unit
  std::set<std::string> broken;                  // those that could not be read; why has been said
  upstream_values values;                        // all but those of an endpoint
};
used_upstreams read_upstreams(const std::string& unit, const value& root, const file_context& context,
                              report& findings);

// With the values of these endpoints, by the word behind "upstream.".
upstream_values values_of(const used_upstreams& upstreams, const std::map<std::string, std::string>& endpoints);

// What a unit may be filled in with: each endpoint of each role that it differs by. Nothing when these are too many.
std::optional<std::vector<std::map<std::string, std::string>>> combinations(const used_upstreams& upstreams);

}  // namespace hasup::config
