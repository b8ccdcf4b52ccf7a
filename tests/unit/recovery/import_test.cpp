// [import]: a run of its own makes the state of what was staged, before the node is started for the first time.
#include "unit/recovery/trace.hpp"

#include <catch2/catch.hpp>

using namespace hasup;
using namespace hasup::tests;
using recovery::exit_kind;

namespace {

recovery::frozen lotus() {
  auto f = leap();
  f.recipe.first_start_append.clear();
  f.recipe.import_command = {"lotus", "daemon", "--import-snapshot", "${archive.snapshot.path}",
                             "--halt-after-import"};
  f.recipe.import_timeout = std::chrono::hours(24);
  return f;
}

const std::vector<ports::candidate> two{one_candidate(0, "s3"), one_candidate(0, "s2", 50)};
constexpr const char* the_import =
    "import lotus daemon --import-snapshot /data/.hasup/staging/archives/snapshot/s.bin --halt-after-import\n";

}  // namespace

TEST_CASE("an import runs after the swap, and the node starts once it has ended well") {
  trace t;
  t.until_first_start(lotus(), two);
  CHECK(has(t.text, std::string("write swapped\n")));
  CHECK(has(t.take(), std::string("write importing\nrecovery_importing: importing s3\n") + the_import));
  CHECK(recovery::phase_of(t.state) == "import");
  CHECK(t.started().take() == "timer 1d\n");
  CHECK(t.exited(0, exit_kind::unexplained, "unexplained").take() ==
        "no timer\nwrite imported\nrecovery_imported: s3 is imported\nwrite first_start\n"
        "recovery_first_start: first start on s3\nstart node\n");
  CHECK(recovery::phase_of(t.state) == "first_start");
  t.started().startup_passed().head(101).take();
  CHECK(has(t.after(std::chrono::minutes(3)).head(300).take(), "write confirmed"));
}

TEST_CASE("an import that ends with an error makes the next snapshot's turn, and holds it against this one") {
  trace t;
  t.until_running(lotus(), two).take();
  t.exited(1, exit_kind::unexplained, "unexplained").quiesced();
  CHECK(has(t.text, "recovery_rolling_back: the import ended with code 1"));
  CHECK(has(t.done().take(), "trying s2"));
  CHECK(t.state.remembered.bad.size() == 2);
}

TEST_CASE("what an exit with 0 says in the log is heard") {
  trace t;
  t.until_running(lotus(), two).take();
  CHECK(!has(t.exited(0, exit_kind::hold, "wrong network").take(), "write imported"));
  trace says_so;
  says_so.until_running(lotus(), two).take();
  CHECK(has(says_so.exited(0, exit_kind::unexplained, "unexplained", "missed a block in").take(),
            "the import refused it"));
  trace refused;
  refused.until_running(lotus(), two).take();
  CHECK(has(refused.exited(1, exit_kind::unexplained, "", "missed a block in").take(),
            "the import refused it with plan \"state only\": missed a block in"));
}

TEST_CASE("an import that was killed begins anew on a state that is wiped again") {
  trace t;
  t.until_running(lotus(), two).take();
  t.killed();
  CHECK(has(t.timer().take(), "worker rewipe"));
  CHECK(has(t.done().take(), the_import));
  CHECK(t.state.done.imports == 2);
  t.started().take();
  CHECK(has(t.exited(0, exit_kind::unexplained, "unexplained").take(), "start node\n"));
}

TEST_CASE("a start after the import that nobody is to blame for is repeated without another import") {
  trace t;
  t.until_running(lotus(), two).exited(0, exit_kind::unexplained, "unexplained").take();
  t.started().take();
  t.exited(1, exit_kind::environment, "port in use");
  CHECK(has(t.take(), "again in 1s"));
  const auto again = t.timer().take();
  CHECK(has(again, "start node\n"));
  CHECK(!has(again, "rewipe"));
  // A kill may have spoiled what was imported: the same snapshot once more, from the start.
  t.started().killed().take();
  t.timer().started().take();
  t.exited(254, exit_kind::unexplained, "unexplained").quiesced();
  CHECK(has(t.text, "the same snapshot once more"));
}

TEST_CASE("an import that does not end is ended, and the snapshot is not remembered as bad") {
  trace t;
  t.until_running(lotus(), two).take();
  CHECK(has(t.after(std::chrono::hours(24)).timer().take(), "stop node"));
  CHECK(has(t.exited(0, exit_kind::environment, "stopped").take(), "quiesce"));
  CHECK(t.state.remembered.bad.empty());
  CHECK(has(t.state.done.last_why, "the import did not end within 1d on s3"));
}

TEST_CASE("a stop ends an import at once, and the next start begins it anew") {
  trace t;
  t.until_running(lotus(), two).take();
  CHECK(has(t.stop().take(), "stop node"));
  CHECK(has(t.exited(0, exit_kind::environment, "stopped").take(), "finished parked"));
}

// Its shim may know how it ended, but not whether that was this import: the journal has no number of a run.
TEST_CASE(
    "an import whose end no hasupd saw is never taken for done: it begins anew on a state that is wiped again") {
  trace t;
  t.until_running(lotus(), two).take();
  REQUIRE(t.state.done.at == recovery::mark::importing);
  trace next;
  auto text = next.feed(recovery::resume_wanted{t.state.done, false}).quiesced().take();
  CHECK(has(text, "worker rewipe"));
  text += next.done().take();
  CHECK(has(text, the_import));
  CHECK(!has(text, "write imported"));
  CHECK(next.state.done.imports == 2);
}

TEST_CASE("an import that ran on without hasupd is waited for, and done when its end is seen to be good") {
  trace t;
  t.until_running(lotus(), two).take();
  trace next;
  CHECK(!has(next.feed(recovery::resume_wanted{t.state.done, true}).take(), "write"));
  SECTION("good") {
    CHECK(has(next.exited(0, exit_kind::unexplained, "unexplained").take(), "write imported"));
  }
  SECTION("lost, because its shim died with hasupd") {
    recovery::node_exited lost;
    lost.kind = exit_kind::environment;
    CHECK(!has(next.feed(lost).take(), "write imported"));
    CHECK(has(next.timer().take(), "worker rewipe"));
  }
}

TEST_CASE("a plan whose archive is the state needs no import") {
  auto plan = lotus();
  for (auto& p : plan.recipe.plans) {
    p.archives[0].as.clear();
    p.archives[0].into = ".";
  }
  trace t;
  CHECK(has(t.until_first_start(plan, two).take(),
            "write first_start\nrecovery_first_start: first start on s3\nstart node\n"));
}
