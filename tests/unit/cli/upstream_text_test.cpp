// `hasup upstream` as a person reads it.
#include "cli/upstream_text.hpp"

#include <catch2/catch.hpp>

using namespace hasup;

TEST_CASE("the chosen endpoint is marked, and why the others are not it can be read") {
  const base::wall_time now(std::chrono::seconds(1'700'000'010));
  control::upstream_status u;
  u.name = "leap";
  u.select = "best_head";
  u.chosen = "vm12";
  u.chosen_why = "vm11 is unhealthy";
  u.since = base::wall_time(std::chrono::seconds(1'700'000'000));
  u.reason = "healthy";
  u.units = {"evm", "miner"};
  control::endpoint_status bad, good;
  bad.name = "vm11";
  bad.health = "unhealthy";
  bad.reason = "connection\x1b[31m refused";
  bad.avoided = true;
  good.name = "vm12";
  good.health = "healthy";
  good.reason = "passed";
  good.head = 100;
  good.head_time = base::wall_time(std::chrono::seconds(1'700'000'008));
  good.latency_ms = 1.25;
  good.chosen = true;
  u.endpoints = {bad, good};
  CHECK(cli::render_upstreams({u}, now, {}) ==
        "leap  best_head\n"
        "  vm12 since 2023-11-14T22:13:20Z (vm11 is unhealthy); now: healthy\n"
        "  used by evm, miner\n"
        "  ENDPOINT  HEALTH     HEAD  AGE  BEHIND  LATENCY  REASON\n"
        "  vm11      unhealthy  -     -    -       -        avoided; connection refused\n"
        "> vm12      healthy    100   2s   -       1.2ms\n");
  u.chosen.clear();
  u.reason = "no endpoint is healthy";
  CHECK(cli::render_upstreams({u}, now, {}).find("none is chosen: no endpoint is healthy") != std::string::npos);
  CHECK(cli::render_upstreams({}, now, {}).find("no unit uses an upstream") == 0);
}

TEST_CASE("an address is shown with the name that it comes from, and a name with why it is not found") {
  control::upstream_status u;
  u.name = "leap";
  u.select = "best_head";
  u.reason = "no endpoint is healthy";
  control::endpoint_status one;
  one.name = "10.0.0.1";
  one.dns = "leaps.internal";
  one.health = "unknown";
  u.endpoints = {one};
  u.names = {{"leaps.internal", "Name or service not known", 1}};
  const auto text = cli::render_upstreams({u}, {}, {});
  CHECK(text.find("  10.0.0.1 (leaps.internal)  unknown") != std::string::npos);
  CHECK(text.find("  leaps.internal cannot be found: Name or service not known; what is known of it stays\n") !=
        std::string::npos);
  u.endpoints[0].name = one.dns;
  u.names[0].addresses = 0;
  const auto without = cli::render_upstreams({u}, {}, {});
  CHECK(without.find("  leaps.internal  unknown") != std::string::npos);
  CHECK(without.find("cannot be found") == std::string::npos);  // the endpoint's own reason says so
}
