// The unit machine where things go wrong at an awkward moment.
#include "unit/machine.hpp"

#include <catch2/catch.hpp>

#include "unit/unit/bench.hpp"

using namespace hasup;
using namespace hasup::unit;
using namespace std::chrono_literals;
using Catch::Contains;
using outcome = recovery_ended::outcome;

namespace {

void to_recovery_by_hand(bench& b) {
  b.add_recovery();
  b.run();
  b.feed(recover_wanted{"asked by hand"});
  b.feed(main_exited{{0, std::nullopt, false}, {}});
  b.feed(tree_emptied{});
  REQUIRE(b.state() == model::unit_state::recovering);
}

void to_recovery_by_itself(bench& b) {
  b.add_recovery();
  b.add_startup();
  b.feed(start_wanted{});
  b.feed(prepared{});
  b.feed(spawned{1});
  b.exits(2, exit_action::recover);
  REQUIRE(b.state() == model::unit_state::recovering);
}

recovery_ended ended(outcome is, bool try_later = false) {
  recovery_ended e{is, "no source can be reached"};
  e.try_later = try_later;
  return e;
}

}  // namespace

TEST_CASE("a stop that meets a start which cannot work ends at once") {
  bench b;
  b.feed(start_wanted{});
  b.feed(prepared{});
  CHECK(b.feed(stop_wanted{}) == "stopping: !stopping; send_stop; timer 10s;");
  CHECK(b.feed(spawn_failed{{}, "no such program"}) == "stopped: !start_failed; !stopped;");
  CHECK_FALSE(b.m.killed);
}

TEST_CASE(
    "a start whose data nobody could look at is tried again after a pause that grows, and never fails for that") {
  bench b;
  using verdict = prepared::verdict;
  b.feed(start_wanted{});
  CHECK(b.feed(prepared{verdict::unseen, "the worker was killed"}) == "waiting: !waiting; timer 1s;");
  for (const auto* pause : {"2s", "4s", "8s", "16s", "32s", "1m", "1m"}) {
    CHECK(b.feed(timer_fired{timer::prepare_again}) == "starting: prepare;");
    CHECK(b.feed(prepared{verdict::unseen, "the worker was killed"}) == std::string("waiting: timer ") + pause + ";");
  }
  CHECK(b.m.reason == "the worker was killed");
  CHECK(b.m.starts.empty());
  b.feed(timer_fired{timer::prepare_again});
  CHECK(b.feed(prepared{}) == "starting: spawn;");
  // The next time begins with a short pause.
  b.feed(spawned{100});
  b.exits(1);
  b.feed(timer_fired{timer::backoff});
  CHECK_THAT(b.feed(prepared{verdict::unseen, "the worker was killed"}), Contains("timer 1s;"));
}

TEST_CASE("an adopted start has what is left of its start_timeout, and never nothing at all") {
  const auto adopt = [](base::duration age, bool had_started) {
    bench b;
    b.add_startup();
    b.unit.run.start_timeout = 5min;
    b.m.desired = model::desired::up;
    b.m.startup_passed = had_started;
    return b.feed(adopted{100, age});
  };
  CHECK(adopt(3min, false) == "starting: !adopted; probe startup; timer 2m;");
  CHECK(adopt(2h, false) == "starting: !adopted; probe startup; timer 10s;");
  // It had started: that the daemon was away for so long is not its fault.
  CHECK(adopt(2h, true) == "starting: !adopted; probe startup; timer 5m;");
}

TEST_CASE("a stop that the last daemon had begun is gone on with") {
  stopping told;
  told.no_kill = true;
  told.why = "stopped by hand";
  bench b;
  b.m.desired = model::desired::down;
  CHECK(b.feed(adopted{100, {}, told}) == "stopping: !adopted; !stopping; send_stop; timer 10s;");
  CHECK(b.feed(timer_fired{timer::stop_timeout}) == "stopping: !still_stopping; timer 10s;");

  told = {};
  told.then = after_stop::start;
  told.why = "restarted by hand";
  bench restarted;
  restarted.m.desired = model::desired::up;
  restarted.feed(adopted{100, {}, told});
  CHECK(restarted.exits(0) == "starting: prepare;");
  CHECK(restarted.m.restarts == 0);
  // Stopped since: that counts more.
  bench stopped_since;
  stopped_since.feed(adopted{100, {}, told});
  CHECK(stopped_since.exits(0) == "stopped: !stopped;");
}

TEST_CASE("in maintenance no recovery begins by itself, and the end of it lets it begin") {
  bench b;
  b.add_recovery();
  b.add_startup();
  b.f.maintenance = true;
  b.feed(start_wanted{});
  b.feed(prepared{});
  b.feed(spawned{1});
  CHECK(b.exits(2, exit_action::recover) == "failed: !failed;");
  CHECK_THAT(b.m.reason, Contains("a class; maintenance holds the recovery back: `hasup maintenance off leap`"));
  CHECK(b.feed(timer_fired{timer::recover_again}) == "failed: !failed;");
  b.f.maintenance = false;
  CHECK(b.feed(maintenance_ended{}) == "recovering: !recovering; begin_recovery;");

  // A person may, and what failed for another reason stays failed.
  bench by_hand;
  by_hand.add_recovery();
  by_hand.f.maintenance = true;
  CHECK(by_hand.feed(recover_wanted{"asked by hand"}) == "recovering: !recovering; begin_recovery;");
  bench held;
  held.add_recovery();
  held.feed(start_wanted{});
  held.feed(prepared{prepared::verdict::refused, "another writer"});
  CHECK(held.feed(maintenance_ended{}) == "failed:");
}

TEST_CASE("in maintenance a state that is missing is not restored by itself, nor is much memory a reason") {
  bench b;
  b.add_recovery();
  b.f.maintenance = true;
  b.feed(start_wanted{});
  CHECK(b.feed(prepared{prepared::verdict::needs_recovery, "no state"}) == "failed: !failed;");
  bench running;
  running.run();
  running.f.maintenance = true;
  CHECK(running.feed(memory_exceeded{"much"}) == "running:");
  CHECK(running.feed(liveness_failed{"stands"}) == "running:");
}

TEST_CASE("the death of a shim restarts nothing in maintenance, and the end of it brings the restart") {
  bench b;
  b.run();
  b.f.maintenance = true;
  CHECK(b.feed(parent_lost{"its shim died"}) == "running: !restart_held;");
  CHECK(b.m.held.parent_lost == "its shim died");
  b.f.maintenance = false;
  CHECK(b.feed(maintenance_ended{}) == "stopping: !stopping; send_stop; timer 10s;");
  CHECK(b.m.reason == "its shim died");
  CHECK(b.m.held.parent_lost.empty());

  // It was about that run: not about the next one.
  bench ended;
  ended.run();
  ended.f.maintenance = true;
  ended.feed(parent_lost{"its shim died"});
  const bool by_hand = GENERATE(true, false);
  if (by_hand) {
    ended.feed(restart_wanted{});
    ended.feed(main_exited{{}, {}});
    ended.feed(tree_emptied{});
  } else {
    ended.exits(1);
    ended.feed(timer_fired{timer::backoff});
  }
  ended.feed(prepared{});
  ended.feed(spawned{101});
  ended.f.maintenance = false;
  CHECK(ended.feed(maintenance_ended{}) == "running:");
}

TEST_CASE("in maintenance a start may take its time, and the end of it ends a start that is still under way") {
  bench b;
  b.add_startup();
  b.f.maintenance = true;
  b.feed(start_wanted{});
  b.feed(prepared{});
  b.feed(spawned{1});
  CHECK(b.feed(timer_fired{timer::start_timeout}) == "starting: !restart_held;");
  SECTION("still starting: too late") {
    b.f.maintenance = false;
    CHECK(b.feed(maintenance_ended{}) == "stopping: !start_failed; !stopping; send_stop; timer 10s;");
    CHECK_THAT(b.m.reason, Contains("not started within"));
  }
  SECTION("started meanwhile: nothing") {
    b.feed(startup_passed{});
    b.f.maintenance = false;
    CHECK(b.feed(maintenance_ended{}) == "running:");
  }
  SECTION("another run has its own time") {
    b.feed(restart_wanted{});
    b.exits(0);
    b.feed(prepared{});
    b.feed(spawned{2});
    b.f.maintenance = false;
    CHECK(b.feed(maintenance_ended{}) == "starting:");
  }
}

TEST_CASE("in maintenance the loss of a requirement stops nothing, and is told once") {
  const auto loss = GENERATE(model::on_loss::restart, model::on_loss::stop);
  bench b;
  b.run();
  b.f.maintenance = true;
  CHECK(b.feed(requirement_lost{loss, "leap is no longer healthy"}) == "running: !restart_held;");
  CHECK(b.feed(requirement_lost{loss, "leap is no longer healthy"}) == "running:");
  CHECK(b.m.desired == model::desired::up);
  // But its data is not restored under its feet.
  bench reader = b;
  CHECK(reader.feed(requirement_lost{model::on_loss::restart, "its data is restored", true}) ==
        "stopping: !stopping; send_stop; timer 10s;");
  // What is lost still is told again by its end, which by itself knows of no reason.
  b.f.maintenance = false;
  CHECK(b.feed(maintenance_ended{}) == "running:");
  CHECK(b.feed(requirement_lost{loss, "leap is no longer healthy"}) == "stopping: !stopping; send_stop; timer 10s;");
}

TEST_CASE("starts that a killed daemon did not save count, each once and never more than matter") {
  bench b;
  b.unit.restart.start_limit_count = 3;
  b.feed(adopted{100, base::duration{2'000}, std::nullopt, 2, 1});
  CHECK(b.m.restarts == 1);
  CHECK(b.m.starts == std::deque<base::wall_time>(2, b.f.now - base::duration{2'000}));
  b.feed(adopted{100, {}, std::nullopt, 1'000});
  CHECK(b.m.starts.size() == 5);
  b.unit.restart.start_limit_count = 0;
  b.feed(adopted{100, {}, std::nullopt, 1'000});
  CHECK(b.m.starts.size() == 5);
}

TEST_CASE("who asks again without --no-kill may not know of it: it holds") {
  bench b;
  b.run();
  b.feed(stop_wanted{true});
  CHECK(b.feed(timer_fired{timer::stop_timeout}) == "stopping: !still_stopping; timer 10s;");
  b.feed(stop_wanted{false});
  CHECK(b.feed(timer_fired{timer::stop_timeout}) == "stopping: !still_stopping; timer 10s;");
}

TEST_CASE("a start by hand is heard while the unit is on its way to failed or to a pause") {
  bench b;
  b.run();
  SECTION("liveness failed") {
    b.feed(liveness_failed{"stuck"});
  }
  SECTION("and it is never restarted") {
    b.unit.restart.policy = model::restart_when::never;
    b.feed(liveness_failed{"stuck"});
  }
  REQUIRE(b.state() == model::unit_state::stopping);
  b.feed(start_wanted{});
  b.feed(main_exited{{0, std::nullopt, false}, {}});
  CHECK(b.feed(tree_emptied{}) == "starting: prepare;");
}

TEST_CASE("with readiness alone, only an answer says that it has started") {
  bench b;
  b.add_recovery();
  b.add_readiness();
  SECTION("exits before any answer are failed starts, and two of them recover") {
    b.run();
    CHECK(b.exits(9) == "backoff: !backing_off; timer 1s;");
    CHECK_THAT(b.m.reason, Contains("failed start"));
    b.feed(timer_fired{timer::backoff});
    b.feed(prepared{});
    b.feed(spawned{2});
    CHECK(b.exits(9) == "recovering: !recovering; begin_recovery;");
  }
  SECTION("exit 0 before any answer is no success") {
    b.unit.restart.policy = model::restart_when::on_failure;
    b.run();
    CHECK(b.exits(0) == "backoff: !backing_off; timer 1s;");
  }
  SECTION("a node that answered, but is behind, has started") {
    b.run();
    CHECK(b.feed(startup_passed{}) == "running:");
    for (int i = 0; i < 5; ++i) {
      CHECK_THAT(b.exits(9), Catch::StartsWith("backoff:"));
      CHECK(b.m.failed_starts == 0);
      b.feed(timer_fired{timer::backoff});
      b.feed(prepared{});
      b.feed(spawned{2});
      b.feed(startup_passed{});
    }
  }
}

TEST_CASE("a healthy minute is remembered when health is lost before the end") {
  bench b;
  b.add_readiness();
  b.run();
  b.exits(1);
  b.feed(timer_fired{timer::backoff});
  b.feed(prepared{});
  b.feed(spawned{2});
  b.feed(health_changed{model::health::healthy, "readiness passed"});
  b.f.now += 61s;
  b.feed(health_changed{model::health::unhealthy, "head is old"});
  b.f.now += 10s;
  CHECK(b.exits(1) == "backoff: !backing_off; timer 1s;");
}

TEST_CASE("a recovery by hand that finds nothing starts the node on the state as it was") {
  bench b;
  to_recovery_by_hand(b);
  SECTION("refused") {
    CHECK(b.feed(ended(outcome::failed)) == "starting: !recovery_failed; prepare;");
  }
  SECTION("cancelled") {
    CHECK(b.feed(ended(outcome::stopped)) == "starting: !recovery_failed; prepare;");
  }
  SECTION("but not when the data is not as before") {
    auto e = ended(outcome::failed);
    e.as_before = false;
    CHECK(b.feed(e) == "failed: !failed;");
  }
  SECTION("nor when it was stopped meanwhile") {
    b.feed(stop_wanted{});
    CHECK(b.feed(ended(outcome::stopped)) == "stopped: !stopped;");
  }
}

TEST_CASE("a recovery that lacks a snapshot is tried again, less and less often") {
  bench b;
  to_recovery_by_itself(b);
  CHECK(b.feed(ended(outcome::failed, true)) == "failed: !failed; timer 1m;");
  CHECK_THAT(b.m.reason, Contains("the recovery is tried again in 1m"));
  CHECK(b.feed(timer_fired{timer::recover_again}) == "recovering: !recovering; begin_recovery;");
  CHECK_THAT(b.m.reason, Contains("exited with code 2"));
  CHECK(b.feed(ended(outcome::failed, true)) == "failed: !failed; timer 2m;");
  for (int i = 0; i < 10; ++i) {
    b.feed(timer_fired{timer::recover_again});
    b.feed(ended(outcome::failed, true));
  }
  CHECK(b.feed(timer_fired{timer::recover_again}) == "recovering: !recovering; begin_recovery;");
  CHECK(b.feed(ended(outcome::failed, true)) == "failed: !failed; timer 10m;");

  SECTION("a stop ends that") {
    b.feed(stop_wanted{});
    CHECK(b.feed(timer_fired{timer::recover_again}) == "stopped:");
  }
  SECTION("an old timer does not wake a unit that failed for good") {
    b.feed(timer_fired{timer::recover_again});
    b.feed(ended(outcome::failed));
    CHECK(b.feed(timer_fired{timer::recover_again}) == "failed:");
  }
}

TEST_CASE("a recovery cancelled by hand is not begun again behind the person's back") {
  bench b;
  to_recovery_by_itself(b);
  CHECK(b.feed(ended(outcome::stopped)) == "failed: !failed;");
  CHECK_THAT(b.m.reason, Contains("hasup recover leap"));
  CHECK(b.m.desired == model::desired::up);
}

TEST_CASE("a recovery that ends while its node runs stops the node before the unit rests") {
  bench b;
  to_recovery_by_itself(b);
  auto e = ended(outcome::failed);
  e.node_alive = true;
  e.as_before = false;
  CHECK(b.feed(e) == "stopping: !stopping; send_stop; timer 10s;");
  b.feed(main_exited{{0, std::nullopt, false}, {}});
  CHECK(b.feed(tree_emptied{}) == "failed: !failed;");
}

TEST_CASE("a recovery asked for while one is parked goes on with that one") {
  bench b;
  b.add_recovery();
  b.f.recovery_parked = true;
  CHECK(b.feed(recover_wanted{"asked by hand"}) == "recovering: !recovering; resume_recovery;");
}

TEST_CASE("a node that runs while its journal cannot be read is left running, and never started again by itself") {
  bench b;
  b.add_recovery();
  b.m.desired = model::desired::up;
  b.f.recovery_parked = b.f.journal_damaged = true;
  b.feed(adopted{5});
  REQUIRE(b.state() == model::unit_state::running);
  CHECK(b.feed(parent_lost{"its shim died"}) == "running: !restart_held;");
  CHECK(b.feed(liveness_failed{"no answer", 150}) == "running: !restart_held;");
  CHECK(b.feed(memory_exceeded{"uses 2 GiB"}) == "running: !restart_held;");
  CHECK(b.feed(memory_exceeded{"uses 2.1 GiB"}) == "running:");
  CHECK(b.feed(requirement_lost{model::on_loss::restart, "leap is down"}) == "running: !restart_held;");
  SECTION("what it opens is being restored") {
    CHECK(b.feed(requirement_lost{model::on_loss::restart, "leap is down", true}) ==
          "stopping: !stopping; send_stop; timer 10s;");
  }
  SECTION("it ends, and its recipe says recover") {
    CHECK(b.exits(2, exit_action::recover) == "recovering: !recovering; resume_recovery;");
    auto stuck = ended(outcome::failed);
    stuck.as_before = false;
    CHECK(b.feed(stuck) == "failed: !failed;");
  }
  SECTION("it ends, and is started again") {
    b.exits(1);
    CHECK(b.feed(timer_fired{timer::backoff}) == "recovering: !recovering; resume_recovery;");
  }
  SECTION("a person has it recovered") {
    b.feed(recover_wanted{"asked by hand"});
    b.feed(main_exited{{0, std::nullopt, false}, {}});
    CHECK(b.feed(tree_emptied{}) == "recovering: !recovering; resume_recovery;");
    // Refused, with nothing touched and the journal set aside: it runs as before.
    b.f.recovery_parked = b.f.journal_damaged = false;
    CHECK_THAT(b.feed(ended(outcome::failed)), Contains("prepare;"));
  }
}

TEST_CASE("what is adopted has started, if it had before hasupd died") {
  bench b;
  b.add_readiness();
  b.add_recovery();
  b.m.desired = model::desired::up;
  b.m.startup_passed = true;
  b.feed(adopted{5});
  b.exits(0);
  CHECK(b.m.failed_starts == 0);
  CHECK_THAT(b.m.reason, !Contains("failed start"));
}

TEST_CASE("a stop and a start during a recovery: the unit starts once the recovery has ended") {
  bench b;
  to_recovery_by_itself(b);
  b.feed(stop_wanted{});
  b.feed(start_wanted{});
  CHECK(b.feed(ended(outcome::stopped)) == "starting: prepare;");
}

TEST_CASE("a recovery that was done when the stop came: what it started is stopped") {
  bench b;
  to_recovery_by_itself(b);
  b.feed(stop_wanted{});
  CHECK(b.feed(recovery_ended{outcome::recovered, "restored"}) ==
        "stopping: !running; !became_healthy; probe steady; !stopping; send_stop; timer 10s;");
}

TEST_CASE("a node that ended before its recovery was over is restarted, and its exit is not told twice") {
  bench b;
  to_recovery_by_itself(b);
  b.feed(recovery_ended{outcome::recovered, "restored"});
  main_exited late{{}, {}, true};
  late.status.signal = 9;
  CHECK_THAT(b.feed(late), !Catch::Contains("!exited"));
  CHECK(b.feed(tree_emptied{}) == "backoff: !backing_off; timer 1s;");
  CHECK(b.m.exit->status.signal == 9);
  CHECK(b.m.recoveries == 1);
}

TEST_CASE("a lost requirement with on_loss = stop also ends a pause and a restart that is under way") {
  bench b;
  b.run();
  SECTION("in a pause") {
    b.exits(1);
    CHECK(b.feed(requirement_lost{model::on_loss::stop, "leap is gone"}) == "stopped: !stopped;");
  }
  SECTION("in a restart") {
    b.feed(restart_wanted{});
    b.feed(requirement_lost{model::on_loss::stop, "leap is gone"});
    b.feed(main_exited{{0, std::nullopt, false}, {}});
    CHECK(b.feed(tree_emptied{}) == "stopped: !stopped;");
  }
  CHECK(b.m.desired == model::desired::down);
}

TEST_CASE("killed is told until a stop without a kill, however the node ends") {
  bench b;
  b.run();
  b.feed(stop_wanted{});
  b.feed(timer_fired{timer::stop_timeout});
  b.feed(main_exited{{std::nullopt, 9, false}, {}});
  b.feed(tree_emptied{});
  CHECK(b.m.killed);
  b.run();
  CHECK(b.m.killed);
  b.feed(stop_wanted{});
  b.feed(main_exited{{std::nullopt, 15, false}, {}});
  b.feed(tree_emptied{});
  CHECK_FALSE(b.m.killed);
}
