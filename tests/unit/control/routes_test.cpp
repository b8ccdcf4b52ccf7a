// The paths of the control API, row by row.
#include <catch2/catch.hpp>

#include "control/routes.hpp"

using hasup::control::parse_public_route;
using hasup::control::parse_route;
using hasup::control::public_route;
using hasup::control::route;

TEST_CASE("known paths are understood") {
  CHECK(parse_route("GET", "/v1/status").is == route::kind::status);
  const auto unit = parse_route("GET", "/v1/units/miner%402");
  CHECK(unit.is == route::kind::unit);
  CHECK(unit.name == "miner@2");
  const auto stop = parse_route("POST", "/v1/units/leap/stop");
  CHECK(stop.is == route::kind::unit_command);
  CHECK(stop.verb == "stop");
  CHECK(stop.name == "leap");
  const auto all = parse_route("POST", "/v1/stop_all");
  CHECK(all.verb == "stop");
  CHECK(all.all);
  CHECK(parse_route("POST", "/v1/apply").verb == "apply");
  CHECK(parse_route("POST", "/v1/commands").is == route::kind::command);
  const auto events = parse_route("GET", "/v1/events?since=7&unit=leap&n=5");
  CHECK(events.is == route::kind::events);
  CHECK(events.since == 7);
  CHECK(events.filter == "leap");
  CHECK(events.count == 5);
  CHECK(parse_route("GET", "/v1/events?follow=1").is == route::kind::follow);
  CHECK_FALSE(parse_route("GET", "/v1/events?follow=1").since);
  CHECK(parse_route("GET", "/v1/events?follow=0").is == route::kind::events);
  const auto logs = parse_route("GET", "/v1/logs/leap?n=100");
  CHECK(logs.is == route::kind::logs);
  CHECK(logs.name == "leap");
}

TEST_CASE("everything else is refused with the right status") {
  struct row {
    const char* method;
    const char* target;
    unsigned status;
  };
  const row rows[]{{"GET", "", 404},
                   {"GET", "/", 404},
                   {"GET", "*", 404},
                   {"GET", "/v2/status", 404},
                   {"GET", "/v1/", 400},
                   {"GET", "/v1/nothing", 404},
                   {"GET", "/v1/status/", 400},
                   {"GET", "/v1/units//why", 400},
                   {"GET", "/v1/units/a/b/c", 404},
                   {"GET", "/v1/units/%zz", 400},
                   {"GET", "/v1/units/%4", 400},
                   {"GET", "/v1/units/%00", 400},
                   {"GET", "/v1/units/%", 400},
                   {"POST", "/v1/units/leap/explode", 404},
                   {"POST", "/v1/status", 405},
                   {"GET", "/v1/units/leap/stop", 405},
                   {"DELETE", "/v1/units/leap", 405},
                   {"GET", "/v1/events?since=-1", 400},
                   {"GET", "/v1/events?since=", 400},
                   {"GET", "/v1/events?since=18446744073709551616", 400},
                   {"GET", "/v1/events?n=0", 400},
                   {"GET", "/v1/events?n=10001", 400},
                   {"GET", "/v1/events?follow=yes", 400},
                   {"GET", "/v1/events?what=1", 400},
                   {"GET", "/v1/status?n=1", 400},
                   {"GET", "/v1/logs/leap?follow=1", 400},
                   {"GET", "/v1/events?%=1", 400}};
  for (const auto& r : rows) {
    INFO(r.method << " " << r.target);
    const auto got = parse_route(r.method, r.target);
    CHECK(got.is == route::kind::rejected);
    CHECK(got.http_status == r.status);
    CHECK_FALSE(got.error.empty());
  }
}

TEST_CASE("a name with slashes and dots is a name, not a path") {
  const auto r = parse_route("GET", "/v1/units/..%2f..%2fetc");
  CHECK(r.is == route::kind::unit);
  CHECK(r.name == "../../etc");
}

TEST_CASE("the TCP listener answers for health, with GET and HEAD, and for nothing else") {
  using kind = public_route::kind;
  for (const auto* daemon : {"/healthz", "/healthz/", "/healthz?x=1"})
    CHECK(parse_public_route("GET", daemon).is == kind::daemon_health);
  const auto miner = parse_public_route("HEAD", "/healthz/miner%400?verbose");
  CHECK(miner.is == kind::health_of);
  CHECK(miner.name == "miner@0");
  CHECK(parse_public_route("GET", "/healthz/../etc").name == "../etc");  // looked up, never a path
  for (const auto* other : {"/", "", "/v1/status", "/healthzz", "/metrics", "*", "http://x/healthz"})
    CHECK(parse_public_route("GET", other).http_status == 404);
  CHECK(parse_public_route("GET", "/healthz/%zz").http_status == 400);
  for (const auto* method : {"POST", "OPTIONS", "DELETE", "get"})
    CHECK(parse_public_route(method, "/healthz").http_status == 405);
}
