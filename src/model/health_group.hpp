// What load balancers are told: units combined under one name, and where it is told.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "model/unit_name.hpp"

namespace hasup::model {

// Where to listen: a numeric address, so that nothing has to be looked up.
struct tcp_endpoint {
  std::string host;
  std::uint16_t port = 0;

  friend auto operator<=>(const tcp_endpoint&, const tcp_endpoint&) = default;
};
// "127.0.0.1:9770", "[::1]:9770"; "localhost" is 127.0.0.1. Nothing when it is neither.
std::optional<tcp_endpoint> parse_tcp_endpoint(std::string_view text);
std::string to_text(const tcp_endpoint& e);

struct health_member {
  unit_reference unit;  // with an index: this instance alone
  unsigned min = 1;     // so many instances must be healthy

  friend bool operator==(const health_member& a, const health_member& b) {
    return a.unit.unit == b.unit.unit && a.unit.index == b.unit.index && a.min == b.min;
  }
};

// [[health]]: healthy when each of its units is.
struct health_group {
  std::string name;
  std::vector<health_member> units;
  std::optional<tcp_endpoint> agent_check;

  friend bool operator==(const health_group&, const health_group&) = default;
};

}  // namespace hasup::model
