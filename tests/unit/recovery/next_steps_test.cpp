#include "recovery/next_steps.hpp"

#include "unit/recovery/trace.hpp"

#include <catch2/catch.hpp>

using namespace hasup;
using namespace hasup::tests;

namespace {

const std::vector<ports::candidate> two{one_candidate(0, "s2"), one_candidate(0, "s1")};

recovery::frozen beside() {
  auto plan = leap();
  plan.asked.beside = plan.asked.by_hand = plan.asked.yes = true;
  return plan;
}

}  // namespace

TEST_CASE("each phase says what comes after it, and what if it fails") {
  trace t;
  const auto said = [&t] { return recovery::what_comes_next(t.state, false); };
  CHECK(said().empty());
  t.begin(leap());
  CHECK(
      said() ==
      "now: who has the data open is looked for; then: the sources are asked for snapshots, the newest that fits is "
      "fetched and verified, it is unpacked, it takes the place of the old state, which is put aside, the node "
      "starts on it, it is confirmed once the head has advanced beyond it for 2m, the old state is deleted; if that "
      "fails, the next one is tried, as long as there is one, and with none left the unit fails with its state "
      "untouched");
  t.quiesced().done().listed(two);
  CHECK(said() ==
        "now: s2 is fetched and verified; then: it is unpacked, it takes the place of the old state, which is put "
        "aside, the node starts on it, it is confirmed once the head has advanced beyond it for 2m, the old state is "
        "deleted; if that fails, the one other that is left is tried, and with none left the unit fails with its "
        "state untouched");
  t.fetched();
  CHECK(said().starts_with("now: s2 is unpacked; then: it takes the place"));
  t.unpacked();
  CHECK(said().starts_with(
      "now: s2 takes the place of the old state, which is put aside; then: the node starts on it"));
  CHECK(said().ends_with("; if that fails, the old state is put back and the one other that is left is tried"));
  t.done().started();
  CHECK(said().starts_with("now: the node starts on it; then: it is confirmed once"));
  t.startup_passed().head(100).head(101);
  CHECK(
      said().starts_with("now: it is confirmed once the head has advanced beyond it for 2m; then: the old state is"));
  t.exited(1, recovery::exit_kind::recover, "database dirty");
  CHECK(said() == "the old state is put back; then the next one is tried, with 1 left");
}

TEST_CASE("what confirms a node of which no probe says how it is") {
  auto plan = leap();
  plan.recipe.confirm = model::confirm_when::healthy;
  const auto said = [&plan] {
    trace t;
    t.begin(plan);
    return recovery::what_comes_next(t.state, false);
  };
  CHECK(has(said(), "it is confirmed once the node is healthy, the old state"));
  plan.tells_health = false;
  CHECK(has(said(), "it is confirmed once the node runs for 2m, since no probe says how it is, the old state"));
}

TEST_CASE("beside a node that runs its stop is one of the steps, and failing costs it nothing") {
  trace t;
  t.begin(beside()).listed({one_candidate(0, "s2")});
  const auto said = recovery::what_comes_next(t.state, false);
  CHECK(said.find("it is unpacked, the node is stopped, it takes the place") != std::string::npos);
  CHECK(said.ends_with("; if that fails, the node runs on as it is"));
  t.fetched().unpacked();
  const auto stops = recovery::what_comes_next(t.state, false);
  CHECK(
      stops.starts_with("now: what has the data open is stopped: the node, and units that read it; then: s2 takes"));
  CHECK(stops.find("the node is stopped") == std::string::npos);
}

TEST_CASE("once the old state is deleted nobody promises it back") {
  auto plan = leap();
  plan.space = model::space_policy::in_place;
  trace t;
  t.room->freed = t.room->state = {500, 500};
  t.begin(plan).quiesced().done().listed(two);
  CHECK(recovery::what_comes_next(t.state, false)
            .find("now: s2 is fetched and verified; then: the old state is deleted to make room for it, with no way "
                  "back, it "
                  "is unpacked, it comes where the old state was") == 0);
  t.fetched();
  const auto said = recovery::what_comes_next(t.state, false);
  CHECK(said.starts_with("now: the old state is deleted to make room for it"));
  CHECK(said.ends_with("the one other that is left is tried; there is no old state to put back"));
}

TEST_CASE("who asks, waits or ends says so") {
  auto plan = leap();
  plan.mode = model::recovery_mode::ask;
  trace t;
  t.begin(plan).quiesced().done().listed(two).fetched().unpacked();
  CHECK(recovery::what_comes_next(t.state, false) == "nothing until a person says yes");
  trace other;
  other.begin(leap()).quiesced().done().listed(two).stop();
  CHECK(recovery::what_comes_next(other.state, false) == "the recovery ends, with nothing touched");
  trace down;
  down.begin(leap()).quiesced().done().listed(two).failed(ports::worker_failure::unreachable, "404");
  CHECK(recovery::what_comes_next(down.state, false)
            .starts_with("when it is tried again: s2 is fetched and verified; then:"));
}

TEST_CASE("a cancelled unpack beyond the deletion of the old state is left where it is") {
  auto plan = leap();
  plan.space = model::space_policy::in_place;
  trace t;
  t.room->freed = t.room->state = {500, 500};
  t.begin(plan).quiesced().done().listed(two).fetched();
  ports::worker_result wiped;
  wiped.wiped = true;
  t.done(wiped).stop();
  CHECK(recovery::what_comes_next(t.state, false) == "it is left where it is; `hasup start leap` goes on with it");
}

TEST_CASE("a node that has ended meanwhile is not said to run on") {
  trace t;
  t.begin(beside()).listed({one_candidate(0, "s2")});
  t.feed(recovery::node_given{});
  const auto said = recovery::what_comes_next(t.state, true);
  CHECK(said.find("the node is stopped") == std::string::npos);
  CHECK(said.ends_with("; if that fails, the node is started on the state that it has"));
  CHECK(recovery::what_comes_next(t.state, false)
            .ends_with("; if that fails, the unit fails with its state untouched"));
}

TEST_CASE("who waits for the head of its node says so") {
  auto plan = beside();
  plan.asked.newer_than = 150;
  trace t;
  t.begin(plan).listed({one_candidate(0, "s3", 300)}).fetched().unpacked();
  trace next;
  next.feed(recovery::resume_wanted{t.state.done, true, true});
  CHECK(recovery::what_comes_next(next.state, true)
            .starts_with(
                "now: the node is asked for its head; if it still stands: the node is stopped; then: s3 takes"));
  CHECK(next.take().find("recovery_waiting") != std::string::npos);
}

TEST_CASE("a node that ended while it was being confirmed is started first") {
  trace t;
  t.until_running(leap(), {one_candidate(0, "s3")}).startup_passed().head(100).head(101);
  t.exited(0, recovery::exit_kind::environment, "port in use");
  CHECK(recovery::what_comes_next(t.state, false)
            .starts_with("when it is tried again: the node starts on it; then: it is confirmed once"));
}

TEST_CASE("what is started on its old state again does not fail") {
  trace t;
  t.until_running(leap(), {one_candidate(0, "s3")});
  CHECK(recovery::what_comes_next(t.state, true)
            .ends_with("if that fails, the old state is put back, and the node is started on it"));
}

TEST_CASE("after a failure the budget that is used up, and bad snapshots, have their ways out") {
  model::unit unit;
  unit.id = {"leap", 0};
  unit.instances = 1;
  unit.recovery.budget_count = 2;
  unit.recovery.budget_within = std::chrono::hours(1);
  const base::wall_time now{std::chrono::hours(1000)};
  recovery::memory m;
  const auto ways = [&] { return base::joined(recovery::ways_to_recover(unit, m, now), "\n"); };
  CHECK(ways() == "hasup recover leap --dry-run");
  m.swaps = {now - std::chrono::hours(3), now - std::chrono::minutes(3)};
  CHECK(ways() == "hasup recover leap --dry-run");
  m.swaps.push_back(now - std::chrono::minutes(1));
  CHECK(ways() ==
        "hasup recover leap --dry-run\n"
        "hasup recover leap    (goes beyond the budget of 2 recoveries within 1h)\n"
        "hasup reset leap    (forgets the recoveries of the budget, and starts again)");
  m.bad = {"sha256:aa"};
  CHECK(has(ways(), "(forgets the recoveries of the budget and which snapshots were bad, and starts again)"));
  m.swaps.clear();
  CHECK(ways() ==
        "hasup recover leap --dry-run\n"
        "hasup recover leap --from FILE    (from another archive)\n"
        "hasup reset leap    (forgets which snapshots were bad, and starts again)");
  unit.recovery.budget_count = 0;  // no limit
  CHECK_FALSE(has(ways(), "budget"));
}
