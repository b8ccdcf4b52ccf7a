// Upstreams as `hasup upstream` shows them: filled in by the daemon, rendered by the command line.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/duration.hpp"
#include "base/result.hpp"

namespace hasup::control {

// A DNS name whose addresses are endpoints.
struct dns_status {
  std::string name;
  std::string problem;        // of the last answer; "" = there is none
  std::size_t addresses = 0;  // that are known, used or not

  friend bool operator==(const dns_status&, const dns_status&) = default;
};

struct endpoint_status {
  std::string name;
  std::string dns{};   // it is an address of that name, or the name itself while none is known; "" = of the file
  std::string health;  // healthy, unhealthy, unknown
  std::string reason;
  std::optional<std::uint64_t> head;
  std::optional<base::wall_time> head_time;
  std::optional<double> latency_ms;
  std::optional<double> behind_s;  // since when the furthest healthy one has what this one has not; absent: it is not
  bool chosen = false;
  bool avoided = false;
  std::optional<base::wall_time> avoided_until;

  friend bool operator==(const endpoint_status&, const endpoint_status&) = default;
};

// An instance that is filled in with an endpoint.
struct upstream_use {
  std::string unit;
  unsigned instance = 0;
  unsigned instances = 1;
  std::string endpoint;  // that it runs with, or would be started with now; "" = none
  bool runs = false;
  bool apart = false;  // another one than the chosen one, because it left that
  struct left {
    std::string endpoint;
    std::optional<base::wall_time> at;
    std::optional<base::wall_time> until;
    std::string why;

    friend bool operator==(const left&, const left&) = default;
  };
  std::vector<left> left_ones;  // its runs ended because of them, until then it takes others

  friend bool operator==(const upstream_use&, const upstream_use&) = default;
};

struct upstream_status {
  std::string name;
  std::string select;
  std::string chosen;      // "" = none yet
  std::string chosen_why;  // when it was
  std::optional<base::wall_time> since;
  std::string reason;  // of the last look
  std::vector<endpoint_status> endpoints;
  std::vector<std::string> units;  // that use it: "miner"
  std::vector<upstream_use> uses;  // of those that an endpoint is filled in for
  std::vector<dns_status> names{};

  friend bool operator==(const upstream_status&, const upstream_status&) = default;
};

std::string encode(const std::vector<upstream_status>& all);
base::result<std::vector<upstream_status>> decode_upstreams(std::string_view json);

}  // namespace hasup::control
