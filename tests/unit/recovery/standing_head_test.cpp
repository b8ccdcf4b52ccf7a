// A recovery that is prepared beside a node whose head stands still, taken up by another hasupd: nobody knows then
// whether it was called off right before.
#include "unit/recovery/trace.hpp"

#include <catch2/catch.hpp>

using namespace hasup;
using namespace hasup::tests;

namespace {

recovery::frozen stands_at_150() {
  auto plan = leap();
  plan.asked.beside = true;
  plan.asked.newer_than = 150;
  return plan;
}

// Staged, and the node about to be stopped.
recovery::progress staged(recovery::frozen plan = stands_at_150()) {
  trace t;
  t.begin(std::move(plan)).listed({one_candidate(0, "s3", 300)}).fetched().unpacked();
  REQUIRE(t.state.done.at == recovery::mark::staged);
  return t.state.done;
}

trace taken_up(const recovery::progress& done, bool node_running) {
  trace t;
  t.feed(recovery::resume_wanted{done, node_running, node_running});
  return t;
}

}  // namespace

TEST_CASE("a node is not stopped for its standing head before it was asked for it once more") {
  auto t = taken_up(staged(), true);
  CHECK(!has(t.text, "quiesce"));
  CHECK(has(t.take(), "timer 30m"));
  SECTION("it still stands there") {
    CHECK(has(t.head(150).take(), "quiesce"));
    CHECK(has(t.quiesced().take(), "worker inspect"));
    CHECK(has(t.done().take(), "write swapping"));
  }
  SECTION("it has advanced: the unit calls it off") {
    CHECK(t.head(151).take().empty());
    CHECK(has(t.stop().take(), "clear journal\nrelease readers\nfinished cancelled"));
  }
  SECTION("it has advanced, and nobody has called that off in time") {
    t.head(151).take();
    CHECK(has(t.after(std::chrono::minutes(30)).timer().take(),
              "finished cancelled: stopped before anything was touched"));
  }
  SECTION("it has advanced, and the node ended before that was called off") {
    t.head(151).take();
    CHECK(has(t.feed(recovery::node_given{}).take(), "finished cancelled"));
  }
  SECTION("it ends: what comes next is the recovery's") {
    CHECK(has(t.feed(recovery::node_given{}).take(), "quiesce"));
  }
  SECTION("it does not answer at all: that says nothing against its state") {
    const auto text = t.after(std::chrono::minutes(30)).timer().take();
    CHECK(!has(text, "quiesce"));
    CHECK(has(text,
              "clear journal\nrelease readers\nfinished cancelled: nobody could ask the node for its head "
              "within 30m, so whether it still stands is not known"));
  }
}

TEST_CASE("a person who says yes has the node replaced though it does not answer") {
  auto plan = stands_at_150();
  plan.mode = model::recovery_mode::ask;
  auto t = taken_up(staged(plan), true);
  t.take();
  CHECK(has(t.feed(recovery::approve_wanted{}).take(), "quiesce"));
}

TEST_CASE("an answer that comes while the replacement is still being prepared is enough") {
  trace t;
  t.begin(stands_at_150()).listed({one_candidate(0, "s3", 300)});
  auto again = taken_up(t.state.done, true);
  again.head(150).take();
  CHECK(has(again.fetched().unpacked().take(), "quiesce"));
}

TEST_CASE("a state whose head stood still is not replaced when the node went down with hasupd") {
  auto asks = stands_at_150();
  asks.mode = model::recovery_mode::ask;
  for (const auto& plan : {stands_at_150(), asks}) {
    const auto text = taken_up(staged(plan), false).take();
    CHECK(!has(text, "quiesce"));
    CHECK(!has(text, "finished asking"));
    CHECK(has(text, "clear journal"));
    CHECK(has(text,
              "finished cancelled: hasupd or the machine went down while it was prepared for a head that stood "
              "still, and whether it still does is not known; the old state is untouched"));
  }
}

TEST_CASE("what a person asked for goes on without the node") {
  auto plan = leap();
  plan.asked.beside = plan.asked.by_hand = plan.asked.yes = true;
  trace t;
  t.begin(plan).listed({one_candidate(0, "s3", 300)}).fetched().unpacked();
  CHECK(has(taken_up(t.state.done, false).take(), "quiesce"));
}

TEST_CASE("after a roll back nothing has run whose head could have advanced: the next snapshot is tried") {
  trace t;
  t.begin(stands_at_150()).listed({one_candidate(0, "s3", 300), one_candidate(0, "s2", 200)});
  t.fetched().unpacked().quiesced().done().done().started();
  t.exited(134, recovery::exit_kind::unexplained, "unexplained").quiesced().done();
  REQUIRE(t.state.done.was_rolled_back);
  CHECK(has(taken_up(t.state.done, false).take(), "quiesce"));
}
