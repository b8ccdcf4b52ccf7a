// Which endpoint of an upstream is used: first choices, changes, and all that must not be one.
#include "upstream/choice.hpp"

#include <catch2/catch.hpp>

using namespace hasup;
using namespace std::chrono_literals;
using model::upstream_select;
using upstream::endpoint_view;
using upstream::position;
using upstream::standing;

namespace {

// A role with endpoints a, b and c, whose answers come when a test says so.
struct role {
  model::upstream file;
  std::vector<endpoint_view> all{3};
  upstream::choice_memory memory;
  base::mono_time now{1000h};
  unsigned changes = 0;

  explicit role(upstream_select select = upstream_select::best_head) {
    file.select = select;
    for (std::size_t i = 0; i < all.size(); ++i) all[i].name = std::string(1, static_cast<char>('a' + i));
  }

  endpoint_view& at(const std::string& name) {
    return *std::find_if(all.begin(), all.end(), [&](const auto& e) { return e.name == name; });
  }
  role& good(const std::string& name, std::uint64_t head, const std::string& weight = "") {
    at(name).is = standing::good;
    at(name).at = position{weight, head};
    return *this;
  }
  role& bad(const std::string& name, const std::string& why = "connection refused") {
    at(name).is = standing::bad;
    at(name).reason = why;
    return *this;
  }
  role& after(base::duration d) {
    now += d;
    return *this;
  }
  upstream::choice look() {
    const auto out = upstream::choose(file, all, memory, 1s, now);
    changes += out.changed ? 1 : 0;
    return out;
  }
  std::string chosen() { return look().endpoint; }
  // All have answered and b is far behind.
  role& begun() {
    good("a", 100).good("b", 90).bad("c");
    CHECK(chosen() == "a");
    changes = 0;
    return *this;
  }
};

}  // namespace

TEST_CASE("the first choice is the furthest of all, once all have answered") {
  role r;
  CHECK(r.look().reason == "no endpoint is healthy");
  r.good("a", 100);
  CHECK(r.look().reason == "waits for the answers of all endpoints");
  r.after(300ms).good("b", 105).bad("c");
  const auto first = r.look();
  CHECK(first.endpoint == "b");
  CHECK(first.changed);
  CHECK(first.reason == "the furthest, at head 105");
  CHECK_FALSE(r.look().changed);
}

TEST_CASE("who does not answer holds up the first choice no longer than a probe may take") {
  role r;
  r.good("a", 100);
  CHECK(r.chosen().empty());
  r.after(999ms);
  CHECK(r.chosen().empty());
  r.after(1ms);
  CHECK(r.chosen() == "a");
}

TEST_CASE("of equals the first in the file is taken") {
  role r;
  r.bad("a").good("b", 100).good("c", 100);
  CHECK(r.chosen() == "b");
}

TEST_CASE("a heavier head wins over a higher one") {
  role r;
  r.good("a", 101, "99999999999999999999").good("b", 100, "100000000000000000000").bad("c");
  CHECK(r.chosen() == "b");
}

TEST_CASE("an endpoint that is bad is left at once for the best of the others") {
  role r;
  r.begun().good("c", 95).bad("a", "head 100 is 34s old (limit 10s)");
  const auto next = r.look();
  CHECK(next.endpoint == "c");
  CHECK(next.reason == "a is unhealthy: head 100 is 34s old (limit 10s); c is the furthest, at head 95");
}

TEST_CASE("when none is good the choice stays") {
  role r;
  r.begun().bad("a", "timeout").bad("b");
  for (int i = 0; i < 1000; ++i) REQUIRE(r.after(1s).chosen() == "a");
  CHECK(r.look().reason == "a is unhealthy: timeout; no other one is healthy");
  r.good("b", 90);
  CHECK(r.chosen() == "b");
}

TEST_CASE("an endpoint that is not known yet is neither taken nor left") {
  role r;
  r.memory.chosen = "b";  // of an earlier daemon
  r.memory.since = r.now;
  r.good("a", 100);
  for (int i = 0; i < 1000; ++i) REQUIRE(r.after(1s).chosen() == "b");
  CHECK(r.look().reason == "kept while it has not answered");
  r.good("b", 100);
  CHECK(r.chosen() == "b");
}

TEST_CASE("an endpoint that is no longer in the file is left") {
  role r;
  r.memory.chosen = "old";
  r.good("a", 1).bad("b").bad("c");
  CHECK(r.look().reason == "old is no longer in the file; a is the furthest, at head 1");
}

TEST_CASE("two leaps that take turns by a block for an hour cause no switch") {
  role r;
  r.begun();
  std::uint64_t head = 100;
  for (int i = 0; i < 7200; ++i) {  // a block each half second; asked as often
    ++head;
    r.after(500ms).good(i % 2 == 0 ? "b" : "a", head);
    REQUIRE(r.chosen() == "a");
  }
  CHECK(r.changes == 0);
}

TEST_CASE("an endpoint that is behind for long enough is left, and not before") {
  role r;
  r.begun();
  std::uint64_t head = 100;
  base::duration took{0};
  while (r.chosen() == "a") {
    r.after(1s).good("b", ++head);
    took += 1s;
    REQUIRE(took < 10min);
  }
  CHECK(r.changes == 1);
  CHECK(took >= 5min);  // min_dwell
  CHECK(took <= 5min + 2s);
  CHECK(r.chosen() == "b");
}

TEST_CASE("after its time an endpoint is left once it has been behind for all of `for`") {
  role r;
  r.begun().after(1h);
  std::uint64_t head = 100;
  base::duration took{0};
  while (r.chosen() == "a") {
    r.good("b", ++head).after(1s);
    took += 1s;
    REQUIRE(took < 10min);
  }
  CHECK(took >= 40s);  // behind by 10s, for 30s
  CHECK(took <= 43s);
}

TEST_CASE("who catches up in time is not left") {
  role r;
  r.begun().after(1h);
  std::uint64_t head = 100;
  for (int round = 0; round < 50; ++round) {
    for (int i = 0; i < 35; ++i) REQUIRE(r.good("b", ++head).after(1s).chosen() == "a");
    r.good("a", head);
    REQUIRE(r.chosen() == "a");
  }
}

TEST_CASE("how far one is behind does not depend on how fast the chain is") {
  for (const auto block : {base::duration{1}, base::duration{400}, base::duration{12'000}}) {
    role r;
    r.begun().good("b", 100);
    r.look();
    std::uint64_t head = 100;
    for (base::duration passed{0}; passed < 10min; passed += block) r.after(block).good("b", ++head).look();
    const auto lag = upstream::behind(r.memory, r.at("a"), r.now);
    REQUIRE(lag);
    CHECK(*lag >= 10min * 7 / 8 - block);
    CHECK(*lag <= 10min + block);
    CHECK(r.memory.marks.size() <= 128);
  }
}

TEST_CASE("sticky stays however far it is behind") {
  role r(upstream_select::sticky);
  r.begun();
  for (int i = 0; i < 3600; ++i) REQUIRE(r.after(1s).good("b", 100U + static_cast<unsigned>(i)).chosen() == "a");
  CHECK(r.bad("a").chosen() == "b");
  CHECK(r.good("a", 9000).after(1h).chosen() == "b");
}

TEST_CASE("priority goes back to the first when that has been good for long enough") {
  role r(upstream_select::priority);
  r.bad("a").good("b", 100).good("c", 200);
  CHECK(r.chosen() == "b");
  r.after(1h).good("a", 50);
  CHECK(r.chosen() == "b");
  CHECK(r.look().reason == "a, which stands before it, is healthy; left in 30s");
  CHECK(r.after(29s).chosen() == "b");
  CHECK(r.after(1s).chosen() == "a");
  // One that comes and goes does not take its clients with it.
  r.bad("a");
  CHECK(r.chosen() == "b");
  for (int i = 0; i < 100; ++i) {
    REQUIRE(r.good("a", 50).after(20s).chosen() == "b");
    REQUIRE(r.bad("a").after(1s).chosen() == "b");
  }
}

TEST_CASE("an avoided endpoint is left, and taken only when no other is good") {
  role r;
  r.begun().at("a").avoided = true;
  CHECK(r.look().reason == "a is avoided; b is the furthest, at head 90");
  CHECK(r.after(1h).chosen() == "b");
  r.bad("b");
  CHECK(r.chosen() == "a");
  CHECK_FALSE(r.look().changed);
}

TEST_CASE("a head that was said in error does not make the others late for ever") {
  role r;
  r.begun().good("b", 1'000'000).after(1s).look();
  r.bad("b", "of another chain");
  std::uint64_t head = 100;
  for (int i = 0; i < 600; ++i) {
    REQUIRE(r.good("a", ++head).after(1s).chosen() == "a");
    REQUIRE_FALSE(upstream::behind(r.memory, r.at("a"), r.now));
  }
}
