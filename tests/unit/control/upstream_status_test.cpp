// What the daemon says of upstreams comes back as it was.
#include "control/upstream_status.hpp"

#include <catch2/catch.hpp>

#include "show_result.hpp"

using namespace hasup;

TEST_CASE("upstreams go through JSON and back") {
  control::upstream_status u;
  u.name = "leap";
  u.select = "best_head";
  u.chosen = "vm12";
  u.chosen_why = "vm11 is unhealthy";
  u.since = base::wall_time(std::chrono::seconds(1'700'000'000));
  u.reason = "healthy";
  u.units = {"evm", "miner"};
  u.names = {{"leaps.internal", "Name or service not known", 2}};
  control::endpoint_status e;
  e.name = "vm12";
  e.dns = "leaps.internal";
  e.health = "healthy";
  e.reason = "passed";
  e.head = 387'721'720;
  e.head_time = base::wall_time(std::chrono::milliseconds(1'700'000'000'500));
  e.latency_ms = 1.5;
  e.behind_s = 0.25;
  e.chosen = e.avoided = true;
  e.avoided_until = base::wall_time(std::chrono::seconds(1'700'000'100));
  u.endpoints = {e, {}};
  const std::vector<control::upstream_status> all{u, {}};
  const auto back = control::decode_upstreams(control::encode(all));
  REQUIRE(back);
  CHECK(*back == all);
  CHECK_FALSE(control::decode_upstreams("{\"upstreams\": [7]}"));
}
