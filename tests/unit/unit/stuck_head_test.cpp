// A head that stands still: restarts, and a recovery only with evidence that others advance.
#include <catch2/catch.hpp>

#include "unit/unit/bench.hpp"

namespace hasup::unit {
namespace {

using namespace std::chrono_literals;

struct stuck_bench : bench {
  stuck_bench() {
    add_recovery();
    recipe.stuck_restarts = 2;
    unit.restart.backoff_initial = base::duration{1'000};
  }
  liveness_failed stands(std::uint64_t at = 150) const {
    liveness_failed e{"head " + std::to_string(at) + " has not advanced for 5m (limit 5m)"};
    e.stands_at = at;
    return e;
  }
  // What the failed liveness leads to, to the end of the run.
  std::string fails(const liveness_failed& e) {
    auto line = feed(e);
    feed(main_exited{{0, std::nullopt, false}, {}});
    return line + " / " + feed(tree_emptied{});
  }
  void start_again() {
    feed(timer_fired{timer::backoff});
    feed(prepared{});
    feed(spawned{100});
    REQUIRE(state() == model::unit_state::running);
  }
  // So often, while others advance.
  void restarted_in_vain(unsigned times) {
    run();
    others_advance();
    m.stuck_restarts = times;
  }
  // As hasupd does when it is told to.
  void is_prepared() {
    f.recovery_beside = true;
    f.beside_for_head = m.stuck_at;
  }
  void others_advance() { f.reference = {true, "https://api advances: head 200 10s ago, 210 now"}; }
};

const std::string restarts = "stopping: !stopping; send_stop; timer 10s; / backoff: !backing_off; timer ";

}  // namespace

TEST_CASE("a stuck head is restarted first; with evidence the state is replaced by what is beyond it alone") {
  stuck_bench b;
  b.run();
  b.others_advance();
  CHECK(b.fails(b.stands()) == restarts + "1s;");
  CHECK_THAT(b.m.reason, Catch::Contains("restart 1 of 2 for that"));
  b.start_again();
  CHECK(b.fails(b.stands()) == restarts + "2s;");
  b.start_again();
  // The node runs on.
  CHECK(b.feed(b.stands()) == "running: prepare_recovery newer than 150;");
  CHECK(
      std::get<prepare_recovery>(b.last.at(0)).why ==
      "head 150 stands still after 2 restarts, and others advance (https://api advances: head 200 10s ago, 210 now)");
  b.is_prepared();
  CHECK(b.feed(recover_wanted{"snapshot-300 is ready", false, true}) == "stopping: !stopping; send_stop; timer 10s;");
  b.feed(main_exited{{0, std::nullopt, false}, {}});
  CHECK(b.feed(tree_emptied{}) == "recovering: !recovering; begin_recovery;");
}

TEST_CASE("without evidence it is restarted as before, and told") {
  stuck_bench b;
  b.run();
  b.f.reference = {false, "https://api: connection refused"};
  for (int i = 0; i < 2; ++i) {
    b.fails(b.stands());
    b.start_again();
  }
  CHECK(b.fails(b.stands()) ==
        "stopping: !head_stuck; !stopping; send_stop; timer 10s; / backoff: !backing_off; timer 4s;");
  CHECK(b.m.reason ==
        "head 150 stands still after 2 restarts, but nothing shows that others advance (https://api: connection "
        "refused): "
        "its state is left as it is; next start in 4s");
  b.start_again();
  // It comes later.
  b.others_advance();
  CHECK(b.feed(b.stands()) == "running: prepare_recovery newer than 150;");
}

// Simulated time: the liveness fails every five minutes, nobody is beyond the own head.
TEST_CASE("a whole chain that stands still for an hour has no node wiped") {
  stuck_bench b;
  b.run();
  std::vector<reference_memory> heard(2);
  const own_head own{150, "", 5min};
  base::mono_time now{1000h};
  unsigned alerts = 0, restarted = 0;
  const auto end = now + 1h;
  while (now < end) {
    for (int i = 0; i < 30; ++i, now += 10s) {  // a round every ten seconds
      observe(heard[0], {true, "", model::head{150, {}, ""}}, own, now);
      observe(heard[1], {true, "", model::head{149, {}, ""}}, own, now);
    }
    b.f.now += 5min;
    b.f.reference = judge_others(heard, own, now);
    const auto line = b.fails(b.stands());
    REQUIRE_THAT(line, !Catch::Contains("_recovery"));
    REQUIRE(b.state() == model::unit_state::backoff);
    alerts += line.find("!head_stuck") != std::string::npos ? 1 : 0;
    ++restarted;
    b.start_again();
  }
  CHECK(restarted == 12);
  CHECK(alerts == 10);  // all but the first two restarts
  CHECK(b.m.recoveries == 0);
  CHECK(b.state() == model::unit_state::running);
}

TEST_CASE("a head that is passed begins to count anew") {
  stuck_bench b;
  b.run();
  b.others_advance();
  b.fails(b.stands());
  b.start_again();
  SECTION("it has only come back to where it stood") {
    CHECK(b.feed(head_seen{150}) == "running:");
    b.fails(b.stands(140));  // taken back by the restart: what is beyond is beyond the highest
    b.start_again();
    CHECK(b.feed(b.stands(140)) == "running: prepare_recovery newer than 150;");
  }
  SECTION("it went beyond") {
    CHECK(b.feed(head_seen{151}) == "running: !head_advances;");
    CHECK(b.m.stuck_restarts == 0);
    CHECK_FALSE(b.m.stuck_at);
    b.fails(b.stands(160));
    b.start_again();
    CHECK(b.fails(b.stands(160)) == restarts + "4s;");
    CHECK(b.m.stuck_restarts == 2);
  }
  SECTION("a person restarted it") {
    b.feed(restart_wanted{});
    CHECK_FALSE(b.m.stuck_at);
  }
}

TEST_CASE("other failures of liveness neither count nor forget") {
  stuck_bench b;
  b.run();
  b.others_advance();
  for (int i = 0; i < 4; ++i) {
    b.fails(liveness_failed{"no answer"});
    b.start_again();
  }
  CHECK(b.m.stuck_restarts == 0);
  b.fails(b.stands());
  b.start_again();
  b.fails(liveness_failed{"no answer"});
  b.start_again();
  CHECK(b.m.stuck_restarts == 1);
}

TEST_CASE("what never leads to a recovery of a stuck head") {
  stuck_bench b;
  SECTION("its own output explains it") {
    b.restarted_in_vain(2);
    auto e = b.stands();
    e.holds = "disk full: No space left on device";
    CHECK(b.fails(e) == "stopping: !head_stuck; !stopping; send_stop; timer 10s; / backoff: !backing_off; timer 1s;");
  }
  SECTION("the recipe does not count") {
    b.recipe.stuck_restarts = 0;
    b.restarted_in_vain(9);
    CHECK(b.fails(b.stands()) == restarts + "1s;");
  }
  SECTION("mode off") {
    b.unit.recovery.mode = model::recovery_mode::off;
    b.restarted_in_vain(9);
    CHECK(b.fails(b.stands()) == restarts + "1s;");
  }
  SECTION("maintenance") {
    b.restarted_in_vain(9);
    b.f.maintenance = true;
    CHECK(b.feed(b.stands()) == "running:");
  }
  SECTION("it is never restarted") {
    b.unit.restart.policy = model::restart_when::never;
    b.restarted_in_vain(9);
    b.feed(b.stands());
    b.feed(main_exited{{0, std::nullopt, false}, {}});
    CHECK(b.feed(tree_emptied{}) == "failed: !failed;");
  }
}

TEST_CASE("a recovery of a stuck head that comes to nothing before the swap has the node restarted as before") {
  stuck_bench b;
  b.restarted_in_vain(2);
  b.feed(b.stands());
  b.is_prepared();
  const auto over = [&] {
    b.f.recovery_beside = false;
    b.f.beside_for_head.reset();
    return b.feed(preparation_failed{"no snapshot is beyond 150"});
  };
  SECTION("it still stands") {
    CHECK(over() == "stopping: !head_stuck; !stopping; send_stop; timer 10s;");
    CHECK(b.m.reason == "head 150 stands still after 2 restarts, and others advance, but no snapshot is beyond 150");
    b.feed(main_exited{{0, std::nullopt, false}, {}});
    CHECK(b.feed(tree_emptied{}) == "backoff: !backing_off; timer 1s;");
    CHECK(b.m.stuck_restarts == 3);
    b.start_again();  // the next one is tried as soon as the head stands still again
    CHECK(b.feed(b.stands()) == "running: prepare_recovery newer than 150;");
  }
  SECTION("its head was passed") {
    b.feed(head_seen{151});
    CHECK(over() == "running:");
  }
  SECTION("a person has begun to work on it") {
    b.f.maintenance = true;
    CHECK(over() == "running:");
  }
  SECTION("it has been stopped") {
    b.feed(stop_wanted{});
    CHECK(over() == "stopping:");
  }
}

TEST_CASE("a recovery of a stuck head that comes to nothing without its node has it started on what it had") {
  stuck_bench b;
  b.restarted_in_vain(2);
  b.feed(b.stands());
  b.is_prepared();
  b.exits(1);
  REQUIRE(b.state() == model::unit_state::recovering);
  b.f.recovery_beside = false;
  b.f.beside_for_head.reset();
  recovery_ended ended{recovery_ended::outcome::failed, "no snapshot to recover from"};
  ended.returns = true;
  CHECK(b.feed(ended) == "starting: !recovery_failed; prepare;");
  CHECK(b.m.stuck_restarts == 2);
}

TEST_CASE("a node that is being stopped for what was called off since is started on what it had") {
  stuck_bench b;
  b.restarted_in_vain(2);
  b.feed(b.stands());
  b.is_prepared();
  recover_wanted ready{"s3 is ready to replace its state", false, true};
  REQUIRE(b.feed(ready) == "stopping: !stopping; send_stop; timer 10s;");
  const auto ends = [&] {
    b.feed(main_exited{{0, std::nullopt, false}, {}});
    return b.feed(tree_emptied{});
  };
  SECTION("it is not: the recovery has the node now") {
    CHECK(ends() == "recovering: !recovering; begin_recovery;");
  }
  SECTION("by anybody") {
    b.f.recovery_beside = false;
    b.f.beside_for_head.reset();
    CHECK(ends() == "starting: prepare;");
    CHECK(b.m.reason == "its recovery was called off while it stopped");
  }
  SECTION("by another hasupd") {
    const auto was = std::get<stopping>(b.m.now);
    REQUIRE(was.prepared);
    b.m.now = starting{};
    b.f.recovery_beside = false;
    b.f.beside_for_head.reset();
    adopted a;
    a.interrupted = was;
    b.feed(a);
    REQUIRE(b.state() == model::unit_state::stopping);
    CHECK(ends() == "starting: prepare;");
  }
}

TEST_CASE("a head that is passed while its recovery is prepared calls it off") {
  stuck_bench b;
  b.restarted_in_vain(2);
  b.feed(b.stands());
  b.is_prepared();
  CHECK(b.feed(head_seen{150}) == "running:");
  CHECK(b.feed(head_seen{151}) ==
        "running: stop_recovery (head 151 is beyond 150, where it stood still); !head_advances;");
  CHECK_FALSE(b.m.stuck_at);
  // What another hasupd has counted is gone with the first word of it, and it prepares still.
  CHECK(b.feed(head_seen{152}) == "running: stop_recovery (head 152 is beyond 150, where it stood still);");
}

TEST_CASE("while its recovery is prepared a stuck node is not restarted for its liveness") {
  stuck_bench b;
  b.restarted_in_vain(2);
  b.feed(b.stands());
  b.is_prepared();
  CHECK(b.feed(b.stands()) == "running: !liveness_ignored;");
  CHECK(b.feed(liveness_failed{"no answer"}) == "running: !liveness_ignored;");
  CHECK(b.m.stuck_restarts == 2);
}

TEST_CASE("a node that ends while its recovery is prepared") {
  stuck_bench b;
  b.restarted_in_vain(2);
  b.feed(b.stands());
  b.is_prepared();
  SECTION("by itself, or for what a recovery cures: it goes on without it") {
    const auto what = GENERATE(exit_action::unexplained, exit_action::restart, exit_action::recover);
    CHECK(b.exits(1, what) == "recovering: !recovering; begin_recovery;");
  }
  SECTION("for what wants a person: called off") {
    CHECK(b.exits(1, exit_action::hold) == "failed: stop_recovery (exited with code 1: a class); !failed;");
  }
  SECTION("for want of memory") {
    b.feed(memory_exceeded{"too much"});
    b.feed(main_exited{{0, std::nullopt, false}, {}});
    CHECK(b.feed(tree_emptied{}) == "recovering: !recovering; begin_recovery;");
  }
  SECTION("a person stops it") {
    CHECK(b.feed(stop_wanted{}) == "stopping: stop_recovery; !stopping; send_stop; timer 10s;");
    b.feed(main_exited{{0, std::nullopt, false}, {}});
    CHECK(b.feed(tree_emptied{}) == "stopped: stop_recovery; !stopped;");
  }
}

TEST_CASE("a recovery that a person has begun is not called off by a head that is passed") {
  stuck_bench b;
  b.restarted_in_vain(1);
  b.m.stuck_at = 150;
  b.f.recovery_beside = true;
  CHECK(b.feed(head_seen{151}) == "running: !head_advances;");
}

}  // namespace hasup::unit
