// Verdicts of probes: thresholds, unknown answers, ages and growth of a head.
#include "unit/probe_verdict.hpp"

#include <catch2/catch.hpp>
#include <limits>
#include <string>
#include <vector>

using namespace hasup;
using namespace std::chrono_literals;
using unit::observation;
using unit::verdict;
using kind = unit::observation::kind;

namespace {

const base::mono_time mono_zero{1000h};
const base::wall_time wall_zero{std::chrono::seconds{1'790'000'000}};

// Feeds one answer a second.
struct asking {
  model::probe probe;
  unit::probe_memory memory;
  int second = 0;

  unit::probe_verdict see(const observation& o) {
    const auto at = std::chrono::seconds{second++};
    return unit::observe(probe, memory, o, mono_zero + at, wall_zero + at);
  }
  unit::probe_verdict see(char c) {
    if (c == '+') return see(observation{kind::passed, "passed", {}});
    if (c == '-') return see(observation{kind::failed, "connection refused by 127.0.0.1:1", {}});
    return see(observation{kind::unknown, "no descriptor left", {}});
  }
  unit::probe_verdict see_head(std::optional<std::uint64_t> number, std::optional<base::wall_time> time = {}) {
    return see(observation{kind::passed, "passed", model::head{number, time, ""}});
  }
};

char letter(verdict v) {
  return v == verdict::good ? 'G' : v == verdict::bad ? 'B' : 'u';
}

std::string trace(asking& a, const std::string& answers) {
  std::string out;
  for (const char c : answers) out += letter(a.see(c).value);
  return out;
}

}  // namespace

TEST_CASE("a failure sooner than the interval counts for nothing until there is a verdict") {
  asking a;
  a.probe.failures = 2;
  const observation early{kind::failed, "connection refused", {}, true};
  for (int i = 0; i < 5; ++i) CHECK(a.see(early) == unit::probe_verdict{verdict::undecided, "connection refused"});
  CHECK(a.see('-').value == verdict::undecided);
  CHECK(a.see(early).value == verdict::undecided);
  CHECK(a.see('-').value == verdict::bad);
  asking b;
  CHECK(b.see(observation{kind::passed, "passed", {}, true}).value == verdict::good);  // a pass always does
}

TEST_CASE("a verdict turns only after its number of answers in a row") {
  struct row {
    unsigned failures, successes;
    std::string answers, verdicts;
  };
  const std::vector<row> rows{
      {3, 1, "+", "G"},
      {3, 1, "--+", "uuG"},
      {3, 1, "---", "uuB"},
      {3, 1, "+--+--+---", "GGGGGGGGGB"},
      {3, 1, "---+", "uuBG"},
      {3, 2, "++", "uG"},
      {3, 2, "---+-+-++", "uuBBBBBBG"},
      {1, 1, "+-+-+-", "GBGBGB"},
      {1, 3, "+-++-+++", "uBBBBBBG"},
      {2, 2, "+-+-+-", "uuuuuu"},  // flapping decides nothing
      {0, 0, "+-", "GB"},          // nonsense counts as one
  };
  for (const auto& r : rows) {
    asking a;
    a.probe.failures = r.failures;
    a.probe.successes = r.successes;
    INFO(r.answers);
    CHECK(trace(a, r.answers) == r.verdicts);
  }
}

TEST_CASE("what could not be looked at for long is not healthy, and not unhealthy either") {
  const observation blind{.reason = "header_file /h: No such file or directory", .head = {}, .blind = true};
  asking a;
  a.probe.failures = 1;
  CHECK(trace(a, "+") == "G");
  for (int i = 0; i < 2; ++i) CHECK(a.see(blind).value == verdict::good);
  CHECK(a.see(blind) == unit::probe_verdict{verdict::undecided, blind.reason});
  CHECK(a.see(blind).value == verdict::undecided);
  CHECK(a.see('+').value == verdict::good);
  for (int i = 0; i < 2; ++i) CHECK(a.see(blind).value == verdict::good);
  CHECK(trace(a, "+") == "G");  // the row is broken
  for (int i = 0; i < 2; ++i) CHECK(a.see(blind).value == verdict::good);
  a.probe.failures = 5;  // as patient as with failures
  for (int i = 0; i < 2; ++i) CHECK(a.see(blind).value == verdict::good);
  CHECK(a.see(blind).value == verdict::undecided);
  CHECK(trace(a, "+-----") == "GGGGGB");
  for (int i = 0; i < 9; ++i) CHECK(a.see(blind).value == verdict::bad);  // nothing speaks for it
}

TEST_CASE("an unknown answer is neither a failure nor a success") {
  asking a;
  a.probe.failures = 3;
  a.probe.successes = 2;
  CHECK(trace(a, "????") == "uuuu");
  CHECK(trace(a, "+?+") == "uuG");  // it does not break a row
  CHECK(trace(a, "????????") == "GGGGGGGG");
  CHECK(trace(a, "-?-?-") == "GGGGB");
  CHECK(trace(a, "????") == "BBBB");
}

TEST_CASE("the reason says why the verdict is so and what the last answer was") {
  asking a;
  CHECK(a.see('?').reason == "no descriptor left");
  CHECK(a.see('-').reason == "connection refused by 127.0.0.1:1 (1 of 3 in a row)");
  CHECK(a.see('+').reason == "passed");
  CHECK(a.see('-').reason == "passed; last answer failed: connection refused by 127.0.0.1:1 (1 of 3 in a row)");
  CHECK(a.see('?').reason == "passed; last answer unknown: no descriptor left");
  a.see('-');
  CHECK(a.see('-') == unit::probe_verdict{verdict::bad, "connection refused by 127.0.0.1:1"});
  a.probe.successes = 2;
  CHECK(a.see('+').reason == "connection refused by 127.0.0.1:1; last answer passed (1 of 2 in a row)");
  CHECK(a.see('+') == unit::probe_verdict{verdict::good, "passed"});
}

TEST_CASE("a head older than max_head_age fails though the answer passed") {
  asking a;
  a.probe.failures = 1;
  a.probe.max_head_age = 10s;
  CHECK(a.see_head(7, wall_zero - 10s).value == verdict::good);  // exactly the limit
  const auto v = a.see_head(7, wall_zero - 33s);
  CHECK(v == unit::probe_verdict{verdict::bad, "head 7 is 34s old (limit 10s)"});
  CHECK(a.see_head({}, wall_zero - 3600s).reason == "the head is 1h old (limit 10s)");
}

TEST_CASE("a head in the future blames this machine's clock and not the unit") {
  asking a;
  a.probe.failures = 1;
  a.probe.max_head_age = 10s;
  CHECK(a.see_head(7, wall_zero + 30s).value == verdict::good);  // a little skew is normal
  const auto v = a.see_head(7, wall_zero + 1h);
  CHECK(v.value == verdict::good);
  CHECK_THAT(v.reason, Catch::Contains("last answer unknown: head 7 is 59m59s ahead of this machine's clock"));
  a.see_head(7, wall_zero + 1h);
  CHECK(a.see_head(7, wall_zero + 1h).value == verdict::undecided);  // for how long, nobody can tell
}

TEST_CASE("the extremes of the clock neither overflow nor pass") {
  asking a;
  a.probe.failures = 1;
  a.probe.max_head_age = 10s;
  a.probe.advances_within = 10s;
  CHECK(a.see_head(0, base::wall_time::min()).value == verdict::bad);
  CHECK(a.see_head(std::numeric_limits<std::uint64_t>::max(), base::wall_time::max()).value == verdict::bad);
  a.probe.max_head_age = base::duration::max();
  a.see_head(1, base::wall_time::min());
}

TEST_CASE("max_head_age without a head time is unknown, with the remedy") {
  asking a;
  a.probe.max_head_age = 10s;
  for (int i = 0; i < 5; ++i) CHECK(a.see('+').value == verdict::undecided);
  CHECK_THAT(a.see_head(5).reason, Catch::Contains("give head = { time ="));
}

TEST_CASE("a head must grow within advances_within, and until it was seen to grow nothing is decided") {
  asking a;
  a.probe.failures = 1;
  a.probe.advances_within = 3s;
  CHECK(a.see_head(100) == unit::probe_verdict{verdict::undecided, "head 100 has not been seen to advance yet"});
  CHECK(a.see_head(100).value == verdict::undecided);
  CHECK(a.see_head(101) == unit::probe_verdict{verdict::good, "passed"});
  CHECK(a.see_head(101).value == verdict::good);
  CHECK(a.see_head(101).value == verdict::good);
  CHECK(a.see_head(101).value == verdict::good);  // 3 s: exactly the limit
  CHECK(a.see_head(101) == unit::probe_verdict{verdict::bad, "head 101 has not advanced for 4s (limit 3s)", true});
  CHECK(a.see_head(102).value == verdict::good);
}

TEST_CASE("a head that stands still from the first look fails after advances_within") {
  asking a;
  a.probe.failures = 1;
  a.probe.advances_within = 3s;
  for (int i = 0; i < 4; ++i) CHECK(a.see_head(100).value == verdict::undecided);
  CHECK(a.see_head(100) == unit::probe_verdict{verdict::bad, "head 100 has not advanced for 4s (limit 3s)", true});
}

TEST_CASE("a falling head is no growth, the growth after it is") {
  asking a;
  a.probe.failures = 1;
  a.probe.advances_within = 3s;
  a.see_head(100);
  a.see_head(101);
  for (const std::uint64_t n : {99U, 98U, 97U}) CHECK(a.see_head(n).value == verdict::good);
  CHECK(a.see_head(96).value == verdict::bad);
  CHECK(a.see_head(97).value == verdict::good);
}

TEST_CASE("a head that only swings does not grow") {
  asking a;
  a.probe.failures = 1;
  a.probe.advances_within = 6s;
  a.see_head(99);
  for (int i = 0; i < 3; ++i) {
    a.see_head(101);
    CHECK(a.see_head(100).value == verdict::good);
  }
  a.see_head(101);
  CHECK(a.see_head(100) == unit::probe_verdict{verdict::bad, "head 100 has not advanced for 7s (limit 6s)", true});
  for (const std::uint64_t n : {90U, 90U}) CHECK(a.see_head(n).value == verdict::bad);  // it was rewound
  CHECK(a.see_head(90).value == verdict::bad);
  CHECK(a.see_head(91).value == verdict::good);
}

TEST_CASE("growth is seen through failed and unknown answers too") {
  asking a;
  a.probe.failures = 2;
  a.probe.advances_within = 3s;
  a.see(observation{kind::failed, "x", model::head{1, {}, ""}});
  a.see(observation{kind::unknown, "x", model::head{2, {}, ""}});
  CHECK(a.see_head(2).value == verdict::good);
}

TEST_CASE("advances_within without a head number is unknown, with the remedy") {
  asking a;
  a.probe.advances_within = 3s;
  CHECK(a.see('+').value == verdict::undecided);
  CHECK_THAT(a.see_head({}, wall_zero).reason, Catch::Contains("give head = { number ="));
}

TEST_CASE("an old head and a standing head: a failure wins over an unknown") {
  asking a;
  a.probe.failures = 1;
  a.probe.max_head_age = 10s;
  a.probe.advances_within = 1h;
  CHECK(a.see_head(5, wall_zero - 1min).reason == "head 5 is 1m old (limit 10s)");
  CHECK(a.see_head(5, wall_zero).value == verdict::bad);  // fresh now, growth still unknown
}
