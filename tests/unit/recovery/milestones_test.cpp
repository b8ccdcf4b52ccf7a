// Which moments of a recovery are told, and which archives nobody needs after it.
#include "recovery/milestones.hpp"

#include <catch2/catch.hpp>

#include "recovery/candidates.hpp"
#include "trace.hpp"

using namespace hasup;
using namespace std::chrono_literals;
using recovery::fate;
using recovery::milestones;
using strings = std::vector<std::string>;

TEST_CASE("each phase is told once, and each further tenth, but none sooner than the pause after the last") {
  milestones m(1min);
  base::mono_time now{1000h};
  CHECK_FALSE(m.is_one("", "", 0, {}, now));
  CHECK(m.is_one("fetch", "a", 0, 1000, now));
  CHECK_FALSE(m.is_one("fetch", "a", 500, 1000, now + 59s));
  CHECK(m.is_one("fetch", "a", 500, 1000, now + 60s));
  CHECK_FALSE(m.is_one("fetch", "a", 599, 1000, now + 10min));
  CHECK(m.is_one("fetch", "a", 600, 1000, now + 10min));
  CHECK_FALSE(m.is_one("fetch", "a", 100, 1000, now + 20min));  // begun anew after a broken connection
  CHECK(m.is_one("fetch", "b", 100, 1000, now + 20min));        // another archive
  CHECK(m.is_one("verify", "b", 0, 1000, now + 20min));
  m.reset();
  CHECK(m.is_one("verify", "b", 0, 1000, now + 20min));
}

TEST_CASE("a day's fetch takes no more lines than an hour's") {
  for (const auto length : {base::duration(1h), base::duration(24h)}) {
    milestones m(1min);
    const base::mono_time began{1000h};
    int lines = 0;
    for (base::duration t{0}; t <= length; t += 500ms)
      lines += m.is_one("fetch", "a", static_cast<std::uint64_t>(t.count()),
                        static_cast<std::uint64_t>(length.count()), began + t);
    CHECK(lines == 11);
  }
}

TEST_CASE("what has no end in sight is told ever more seldom") {
  milestones m(1min);
  const base::mono_time began{1000h};
  strings told;
  for (base::duration t{0}; t <= base::duration(24h); t += 1s)
    if (m.is_one("import", "a", 0, {}, began + t)) told.push_back(base::format_duration(t));
  CHECK(told == strings{"0s", "1m", "3m", "7m", "15m", "31m", "1h3m", "2h7m", "4h15m", "8h31m", "17h3m"});
}

TEST_CASE("archives that were tried in vain are of no use, unless a candidate that is left needs them") {
  recovery::progress p;
  p.plan = tests::leap();
  p.plan.data_dir = "/data";
  p.candidates = {tests::one_candidate(0, "c"), tests::one_candidate(0, "b"), tests::one_candidate(0, "a"),
                  tests::one_candidate(1, "c"), tests::one_candidate(1, "b")};
  const auto with = [&](std::vector<fate> fates) {
    p.fates = std::move(fates);
    return recovery::useless_archives(p);
  };
  using enum fate;
  CHECK(with({untried, untried, untried, untried, untried}).empty());
  CHECK(with({bad, untried, untried, untried, untried}) == strings{"c"});
  CHECK(with({refused, untried, untried, untried, untried}).empty());  // the other plan may take it
  CHECK(with({refused, bad, unreachable, refused, untried}) == strings{"b", "c"});
  CHECK(with({environment, unreachable, bad, untried, untried}) == strings{"a"});
  SECTION("two files of one name: the other one may lie there") {
    p.candidates[1].snapshots[0].name = "c";
    p.candidates[1].snapshots[0].url = "http://other/c";
    p.candidates[1].snapshots[0].source = "http://other/";
    CHECK(with({bad, untried, untried, untried, untried}).empty());
  }
  SECTION("what a person named in the cache is his") {
    p.plan.asked.from = "/data/.hasup/cache/c";
    CHECK(with({bad, untried, untried, untried, untried}).empty());
  }
  recovery::memory m;
  m.bad = {"sha256:ab", "name:c size:? time:? source:x", "sha256:cd"};
  CHECK(recovery::bad_digests(m) == strings{"ab", "cd"});
}

TEST_CASE("what is waited for while a node is on its new state is known") {
  tests::trace t;
  t.until_running(tests::leap(), {tests::one_candidate(0, "s", 100)});
  const base::mono_time began{1000h};
  auto seen = recovery::outlook_of(t.state);
  CHECK_FALSE(seen.head);
  CHECK_FALSE(seen.confirms_at);
  CHECK(seen.gives_up_at == began + recovery::first_start_limit);
  t.after(1min).startup_passed().after(1min).head(101);
  seen = recovery::outlook_of(t.state);
  CHECK(seen.head == 101U);
  CHECK(seen.confirms_at == began + 4min);
  CHECK(seen.gives_up_at == began + 32min);
  CHECK_FALSE(recovery::outlook_of({}).gives_up_at);
}
