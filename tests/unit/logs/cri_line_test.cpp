// CRI lines: what is one, what is not.
#include <catch2/catch.hpp>

#include "base/time_text.hpp"
#include "logs/cri_line.hpp"

using namespace hasup;
using logs::parse_cri;

TEST_CASE("a whole line is split into its parts") {
  const auto l = parse_cri("2026-11-21T01:02:03.123456789Z stderr F hello  world ");
  REQUIRE(l);
  CHECK(l->stream == "stderr");
  CHECK_FALSE(l->partial);
  CHECK(l->text == "hello  world ");
  CHECK(l->time_ns == logs::to_nanoseconds(*base::parse_time("2026-11-21T01:02:03Z")) + 123456789);
  CHECK(l->time == "2026-11-21T01:02:03.123456789Z");
}

TEST_CASE("texts may be empty, parts are marked, fractions have any length") {
  CHECK(parse_cri("2026-11-21T01:02:03Z stdout F ")->text.empty());
  CHECK(parse_cri("2026-11-21T01:02:03Z stdout F")->text.empty());
  CHECK(parse_cri("2026-11-21T01:02:03Z stdout P abc")->partial);
  CHECK(parse_cri("2026-11-21T01:02:03.5Z stdout F x")->time_ns % 1'000'000'000 == 500'000'000);
  CHECK(parse_cri("1970-01-01T00:00:00Z stdout F x")->time_ns == 0);
  CHECK(parse_cri("2024-02-29T00:00:00Z stdout F x"));
}

TEST_CASE("anything else is not such a line") {
  for (const auto* bad :
       {"", "hello", "a b F c", "2026-11-21T01:02:03Z stdout", "2026-11-21T01:02:03Z stdout X text",
        "2026-11-21T01:02:03Z stdout FF text", "2026-11-21 01:02:03Z stdout F text",
        "2026-13-21T01:02:03Z stdout F text", "2025-02-29T01:02:03Z stdout F text",
        "2026-11-21T25:02:03Z stdout F text", "2026-11-21T01:02:03.12x4Z stdout F text",
        "2026-11-21T01:02:03.1234567890Z stdout F text", "2026-11-21T01:02:03+01:00 stdout F text"}) {
    INFO(bad);
    CHECK_FALSE(parse_cri(bad));
  }
}
