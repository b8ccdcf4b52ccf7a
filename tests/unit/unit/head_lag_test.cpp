// Lag behind other nodes: who counts, what is compared, and what nobody knows.
#include "unit/head_lag.hpp"

#include <catch2/catch.hpp>
#include <limits>
#include <string>
#include <vector>

using namespace hasup;
using namespace std::chrono_literals;
using unit::lag;
using unit::observation;
using unit::other_head;
using unit::verdict;
using kind = unit::observation::kind;

namespace {

const base::mono_time now{1000h};

base::wall_time at(int second) {
  return base::wall_time{std::chrono::seconds{1'790'000'000 + second}};
}

model::head numbered(std::uint64_t number, const std::string& chain = "") {
  return {number, {}, "", chain};
}

model::head timed(int second) {
  return {{}, at(second), "", ""};
}

other_head known(const std::string& name, const model::head& head, base::duration ago = 0s) {
  return {name, head, now - ago, ""};
}

model::probe in_blocks(std::uint64_t limit) {
  model::probe p;
  p.reference.emplace();
  p.max_blocks_behind = limit;
  return p;
}

model::probe in_time(base::duration limit) {
  model::probe p;
  p.reference.emplace();
  p.max_behind = limit;
  return p;
}

lag one(const model::probe& p, const model::head& own, const std::vector<other_head>& others) {
  const auto all = unit::judge_lag(p, own, others, now);
  REQUIRE(all.size() == 1);
  return all[0];
}

}  // namespace

TEST_CASE("without a reference nothing is said of a lag") {
  model::probe p;
  p.max_behind = 1s;
  CHECK(unit::judge_lag(p, timed(0), {known("a", timed(100))}, now).empty());
}

TEST_CASE("so many blocks behind another node") {
  const auto p = in_blocks(150);
  CHECK(one(p, numbered(1000), {known("https://a", numbered(1150))}) ==
        lag{kind::passed, "head 1000 is 150 blocks behind https://a (limit 150)"});
  CHECK(one(p, numbered(1000), {known("https://a", numbered(1151))}) ==
        lag{kind::failed, "head 1000 is 151 blocks behind https://a (limit 150)"});
  CHECK(one(p, numbered(1000), {known("https://a", numbered(1001))}).text ==
        "head 1000 is 1 block behind https://a (limit 150)");
  CHECK(one(p, numbered(1000), {known("https://a", numbered(1000))}) ==
        lag{kind::passed, "head 1000 is not behind https://a"});
  CHECK(one(p, numbered(1000), {known("https://a", numbered(10))}).out == kind::passed);
  const auto top = std::numeric_limits<std::uint64_t>::max();
  CHECK(one(p, numbered(0), {known("a", numbered(top))}).out == kind::failed);
  CHECK(one(p, numbered(top), {known("a", numbered(0))}).out == kind::passed);
}

TEST_CASE("so much time behind another node, whatever the numbers and the chains are") {
  const auto p = in_time(30s);
  const auto head = [](std::uint64_t number, int second, const char* chain) {
    return model::head{number, at(second), "", chain};
  };
  CHECK(one(p, head(7, 0, "0x4571"), {known("https://a", head(387'000'000, 30, "aca3"))}) ==
        lag{kind::passed, "head 7 is 30s behind https://a (limit 30s)"});
  CHECK(one(p, head(7, 0, "0x4571"), {known("https://a", head(387'000'000, 31, "aca3"))}) ==
        lag{kind::failed, "head 7 is 31s behind https://a (limit 30s)"});
  CHECK(one(p, timed(0), {known("https://a", timed(31))}).text == "the head is 31s behind https://a (limit 30s)");
  CHECK(one(p, head(7, 5, ""), {known("https://a", timed(0))}) ==
        lag{kind::passed, "head 7 is not behind https://a"});
  CHECK(one(p, timed(0), {known("https://a", timed(0))}).text == "the head is not behind https://a");
  const model::head first{1, base::wall_time::min(), "", ""}, last{1, base::wall_time::max(), "", ""};
  CHECK(one(p, first, {known("a", last)}).out == kind::failed);
  CHECK(one(p, last, {known("a", first)}).out == kind::passed);
}

TEST_CASE("each limit is judged, each by the node that is furthest in what it is about") {
  auto p = in_blocks(10);
  p.max_behind = 30s;
  const auto all = unit::judge_lag(p, {100, at(0), "", ""},
                                   {known("high", {200, at(1), "", ""}), known("late", {101, at(40), "", ""})}, now);
  REQUIRE(all.size() == 2);
  CHECK(all[0].text == "head 100 is 40s behind late (limit 30s)");
  CHECK(all[1].text == "head 100 is 100 blocks behind high (limit 10)");
}

TEST_CASE("of several nodes the furthest with a fresh answer counts") {
  const auto p = in_blocks(10);
  const auto silent = other_head{"silent"};
  CHECK(one(p, numbered(100), {known("a", numbered(105)), known("b", numbered(120)), silent}).text ==
        "head 100 is 20 blocks behind b (limit 10)");
  CHECK(one(p, numbered(100), {known("a", numbered(105)), known("b", numbered(120), 36s), silent}).text ==
        "head 100 is 5 blocks behind a (limit 10)");
}

TEST_CASE("an answer counts for three intervals and a timeout, also when the next one is bad") {
  const auto p = in_blocks(10);
  CHECK(unit::counts_for(*p.reference) == 35s);
  auto a = known("https://a", numbered(200), 35s);
  CHECK(one(p, numbered(100), {a}).out == kind::failed);
  a.problem = "connection refused";
  CHECK(one(p, numbered(100), {a}).out == kind::failed);
  a.at -= 1ms;
  CHECK(one(p, numbered(100), {a}) == lag{kind::unknown, "no head to compare with: https://a: connection refused"});
  a.problem.clear();
  CHECK(one(p, numbered(100), {a}) ==
        lag{kind::unknown, "no head to compare with: https://a: its last answer is 35s old"});
}

TEST_CASE("the head of a bad answer does not count, that of the last good one stays") {
  other_head o{"a"};
  unit::remember(o, false, "status 503", numbered(7), now);
  CHECK(o == other_head{"a", {}, {}, "status 503"});
  unit::remember(o, true, "passed", numbered(5), now);
  CHECK(o == known("a", numbered(5)));
  unit::remember(o, false, "", numbered(9), now + 1s);
  CHECK(o == other_head{"a", numbered(5), now, "no answer"});
  unit::remember(o, true, "passed", {}, now + 1s);
  CHECK(o == other_head{"a", numbered(5), now, "it does not say where its head is"});
}

TEST_CASE("a node of a reference is asked like a probe, with the reference's own times") {
  model::probe_reference r;
  r.interval = 7s;
  r.timeout = 3s;
  r.nodes.push_back({"a", {{}, {}}});
  const auto p = unit::asked_as_probe(r, r.nodes[0]);
  CHECK(p.checks.size() == 2);
  CHECK(p.interval == 7s);
  CHECK(p.timeout == 3s);
}

TEST_CASE("what nobody knows is unknown, and says of whom") {
  const auto p = in_blocks(10);
  CHECK(one(p, numbered(1), {}) == lag{kind::unknown, "no head to compare with: no reference is known"});
  CHECK(one(p, numbered(1), {{"a"}, {"b", {}, {}, "timed out after 5s"}}) ==
        lag{kind::unknown, "no head to compare with: a: it has not answered yet; b: timed out after 5s"});
  CHECK(one(p, numbered(1), {known("a", timed(5))}).text ==
        "no head to compare with: a: it does not say the number of its head");
  CHECK(one(in_time(1s), timed(0), {known("a", numbered(5))}).text ==
        "no head to compare with: a: it does not say the time of its head");
  CHECK(one(p, timed(0), {known("a", numbered(5))}) ==
        lag{kind::unknown, "the node has not said the number of its head, for max_blocks_behind"});
  CHECK(one(in_time(1s), numbered(1), {known("a", timed(5))}) ==
        lag{kind::unknown, "the node has not said the time of its head, for max_behind"});
}

TEST_CASE("blocks are compared within one chain, where both name theirs") {
  const auto p = in_blocks(10);
  CHECK(one(p, numbered(1, "0x1"), {known("a", numbered(500, "0x2"))}) ==
        lag{kind::unknown, "no head to compare with: a: it is of chain 0x2, the own node of 0x1"});
  CHECK(one(p, numbered(1, "0x1"), {known("a", numbered(500, "1"))}).out == kind::failed);
  CHECK(one(p, numbered(1, "0x1"), {known("a", numbered(500))}).out == kind::failed);
  CHECK(one(p, numbered(1), {known("a", numbered(500, "0x2"))}).out == kind::failed);
  CHECK(one(p, numbered(1, "0x1"), {known("a", numbered(500, "0x2")), known("b", numbered(3, "0x1"))}).out ==
        kind::passed);
}

TEST_CASE("a lag is a failure like others: it counts in a row, and an answer that is unknown changes nothing") {
  auto p = in_blocks(10);
  p.failures = 2;
  unit::probe_memory memory;
  const auto see = [&](std::vector<other_head> others, bool passed = true) {
    observation o{passed ? kind::passed : kind::failed, passed ? "passed" : "refused", numbered(100)};
    o.others = std::move(others);
    return unit::observe(p, memory, o, now, at(0));
  };
  const std::vector<other_head> gone{{"a", {}, {}, "refused"}}, near{known("a", numbered(101))},
      far{known("a", numbered(150))};
  auto v = see(gone);
  CHECK(v.value == verdict::undecided);
  CHECK(v.reason == "no head to compare with: a: refused");
  CHECK(see(near) == unit::probe_verdict{verdict::good, "passed"});
  v = see(gone);
  CHECK(v.value == verdict::good);
  CHECK(v.reason == "passed; last answer unknown: no head to compare with: a: refused");
  CHECK(see(far).value == verdict::good);
  CHECK(see(gone).value == verdict::good);
  v = see(far);
  CHECK(v.value == verdict::bad);
  CHECK(v.reason == "head 100 is 50 blocks behind a (limit 10)");
  CHECK_FALSE(v.head_stands);
  CHECK(see(gone).value == verdict::bad);
  CHECK(see(near).value == verdict::good);
  CHECK(see(gone, false).value == verdict::good);
  v = see(gone, false);  // what fails by itself needs nobody to compare with
  CHECK(v.value == verdict::bad);
  CHECK(v.reason == "refused");
}
