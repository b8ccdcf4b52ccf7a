// The unit machine: each test drives one instance through events and reads the trace of states and actions.
#include "unit/machine.hpp"

#include <catch2/catch.hpp>

#include "unit/backoff.hpp"
#include "unit/unit/bench.hpp"

using namespace hasup;
using namespace hasup::unit;
using namespace std::chrono_literals;

TEST_CASE("a start prepares, spawns and runs; without probes started is healthy") {
  bench b;
  CHECK(b.feed(start_wanted{}) == "starting: prepare;");
  CHECK(b.feed(prepared{}) == "starting: spawn;");
  CHECK(b.feed(spawned{100}) == "running: !started; !became_healthy; probe steady;");
  CHECK(b.m.health == model::health::healthy);
  CHECK(b.m.desired == model::desired::up);
}

TEST_CASE("with a startup probe it is starting until that passes, with readiness healthy only once that says so") {
  bench b;
  b.add_startup();
  b.add_readiness();
  b.feed(start_wanted{});
  b.feed(prepared{});
  CHECK(b.feed(spawned{100}) == "starting: !started; probe startup; timer 5m;");
  CHECK(b.feed(startup_passed{}) == "running: !running; probe steady;");
  CHECK(b.m.health == model::health::unknown);
  CHECK(b.feed(health_changed{model::health::healthy, "readiness passed"}) == "running: !became_healthy;");
  CHECK(b.feed(health_changed{model::health::unhealthy, "head is old"}) == "running: !became_unhealthy;");
  CHECK(b.m.reason == "head is old");
}

TEST_CASE("what it requires is waited for, and the start follows by itself") {
  bench b;
  b.f.requirements_met = false;
  b.f.waiting_for = "waiting for leap (healthy)";
  CHECK(b.feed(start_wanted{}) == "waiting: !waiting;");
  CHECK(b.m.reason == "waiting for leap (healthy)");
  CHECK(b.feed(requirements_changed{}) == "waiting:");
  b.f.requirements_met = true;
  CHECK(b.feed(requirements_changed{}) == "starting: prepare;");
}

TEST_CASE("the reason of an exit that the unit fails of has the line that decided") {
  bench b;
  b.run();
  classification c{"configuration", exit_action::hold, "nodeos: unknown option --pluging", "correct run.command"};
  c.by_line = GENERATE(true, false);
  b.feed(main_exited{{1, std::nullopt, false}, c});
  b.feed(tree_emptied{});
  CHECK(b.state() == model::unit_state::failed);
  CHECK(b.m.reason == std::string("exited with code 1: configuration") +
                          (c.by_line ? " (\"nodeos: unknown option --pluging\")" : "") + "; correct run.command");
}

TEST_CASE("a requirement lost while the start is prepared sends it back to waiting") {
  bench b;
  b.feed(start_wanted{});
  b.f.requirements_met = false;
  CHECK(b.feed(prepared{}) == "waiting: !waiting;");
}

TEST_CASE("a stop is orderly: signal, time, and SIGKILL only after stop_timeout, never quietly") {
  bench b;
  b.run();
  CHECK(b.feed(stop_wanted{}) == "stopping: !stopping; send_stop; timer 10s;");
  CHECK(b.feed(timer_fired{timer::stop_timeout}) == "stopping: !killed; kill_tree; timer 5s;");
  CHECK(b.m.killed);
  CHECK(b.feed(main_exited{{std::nullopt, 9, false}, {}}) == "stopping: !exited; timer 5s;");
  CHECK(b.feed(tree_emptied{}) == "stopped: !stopped;");
  CHECK(b.m.killed);  // shown until the next clean stop
  b.run();
  b.feed(stop_wanted{});
  b.feed(main_exited{{0, std::nullopt, false}, {}});
  b.feed(tree_emptied{});
  CHECK_FALSE(b.m.killed);
}

TEST_CASE("what gets requests is announced before it is asked to stop, and only once drain_time is over it is") {
  bench b;
  b.unit.run.drain_time = base::duration{5'000};
  b.run();
  CHECK(b.feed(stop_wanted{}) == "stopping: !draining; timer 5s;");
  CHECK(b.m.health == model::health::unknown);
  CHECK(b.m.reason == "stopped by hand; draining for 5s first");
  SECTION("to its end") {
    CHECK(b.feed(timer_fired{timer::drain}) == "stopping: !stopping; send_stop; timer 10s;");
    CHECK(b.m.reason == "stopped by hand");
    CHECK(b.feed(timer_fired{timer::drain}) == "stopping:");
    b.feed(main_exited{{0, std::nullopt, false}, {}});
    CHECK(b.feed(tree_emptied{}) == "stopped: !stopped;");
  }
  SECTION("a second stop ends the waiting, and its word holds") {
    CHECK(b.feed(stop_wanted{true}) == "stopping:");  // nobody asked to hurry
    CHECK(b.feed(stop_wanted{false, "stopped by hand", false, true}) == "stopping: !stopping; send_stop; timer 10s;");
    CHECK(b.feed(timer_fired{timer::stop_timeout}).find("kill_tree") == std::string::npos);
  }
  SECTION("a node that ends meanwhile is waited for no longer") {
    CHECK(b.feed(main_exited{{1, std::nullopt, false}, {}}) == "stopping: !exited; timer 5s;");
    CHECK(b.feed(timer_fired{timer::drain}) == "stopping:");
    CHECK(b.feed(tree_emptied{}) == "stopped: !stopped;");
  }
  SECTION("a start meanwhile makes it a restart") {
    b.feed(start_wanted{});
    CHECK(b.feed(timer_fired{timer::drain}) == "stopping: !stopping; send_stop; timer 10s;");
    b.feed(main_exited{{0, std::nullopt, false}, {}});
    CHECK(b.feed(tree_emptied{}) == "starting: prepare;");
  }
}

TEST_CASE("nobody waits for what gets no requests, or cannot wait") {
  bench b;
  b.unit.run.drain_time = base::duration{5'000};
  b.add_readiness();
  b.run();
  SECTION("not healthy yet") {
    CHECK(b.feed(stop_wanted{}) == "stopping: !stopping; send_stop; timer 10s;");
  }
  SECTION("unhealthy") {
    b.feed(health_changed{model::health::unhealthy, "no answer"});
    CHECK(b.feed(restart_wanted{}) == "stopping: !stopping; send_stop; timer 10s;");
  }
  SECTION("liveness failed, or no space") {
    b.feed(health_changed{model::health::healthy, "it answers"});
    CHECK(b.feed(space_low{"too little"}).find("send_stop") != std::string::npos);
  }
}

TEST_CASE("a stop_command that does nothing, hangs or fails gives way to the signal, which has all its time") {
  bench b;
  b.unit.run.stop_command = {{"node-cli", "stop"}};
  b.run();
  CHECK(b.feed(stop_wanted{}) == "stopping: !stopping; send_stop; timer 10s;");
  const std::string by_signal = "stopping: !stop_command_failed; send_signal; timer 10s;";
  SECTION("no end within stop_timeout") {
    CHECK(b.feed(timer_fired{timer::stop_timeout}) == by_signal);
    CHECK(b.feed(stop_command_failed{"ended by hasup"}) == "stopping:");
  }
  SECTION("it fails") {
    CHECK(b.feed(stop_command_failed{"no such node"}) == by_signal);
  }
  SECTION("--no-kill is about SIGKILL") {
    b.feed(stop_wanted{true});
    CHECK(b.feed(timer_fired{timer::stop_timeout}) == by_signal);
    CHECK(b.feed(timer_fired{timer::stop_timeout}) == "stopping: !still_stopping; timer 10s;");
    b.feed(stop_wanted{});  // somebody who did not ask for that does not take it back
    CHECK(b.feed(timer_fired{timer::stop_timeout}) == "stopping: !still_stopping; timer 10s;");
    return;
  }
  SECTION("the node ends, what it started does not") {
    b.feed(main_exited{{0, std::nullopt, false}, {}});
    CHECK(b.feed(stop_command_failed{"no such node"}) == "stopping:");
    CHECK(b.feed(timer_fired{timer::stop_timeout}) == "stopping: !strays_found; term_tree; timer 10s;");
  }
  CHECK_FALSE(b.m.killed);
  CHECK(b.feed(timer_fired{timer::stop_timeout}) == "stopping: !killed; kill_tree; timer 5s;");
}

TEST_CASE("stop --no-kill never kills") {
  bench b;
  b.run();
  b.feed(stop_wanted{true});
  for (int i = 0; i < 5; ++i)
    CHECK(b.feed(timer_fired{timer::stop_timeout}) == "stopping: !still_stopping; timer 10s;");
  CHECK_FALSE(b.m.killed);
}

TEST_CASE("what a dead main process leaves behind is ended before the next start") {
  bench b;
  b.run();
  b.feed(main_exited{{1, std::nullopt, false}, {}});
  CHECK(b.state() == model::unit_state::stopping);
  CHECK(b.feed(timer_fired{timer::stop_timeout}) == "stopping: !strays_found; term_tree; timer 10s;");
  CHECK(b.feed(timer_fired{timer::stop_timeout}) == "stopping: !killed; kill_tree; timer 5s;");
  CHECK(b.feed(tree_emptied{}) == "backoff: !backing_off; timer 1s;");
}

TEST_CASE("crashes are restarted with growing pauses until the start limit, and a start by hand clears it") {
  bench b;
  b.unit.restart.start_limit_count = 3;
  b.run();
  CHECK(b.exits(1) == "backoff: !backing_off; timer 1s;");
  CHECK(b.feed(timer_fired{timer::backoff}) == "starting: prepare;");
  b.feed(prepared{});
  b.feed(spawned{2});
  CHECK(b.exits(1) == "backoff: !backing_off; timer 2s;");
  b.feed(timer_fired{timer::backoff});
  b.feed(prepared{});
  b.feed(spawned{3});
  CHECK(b.exits(1) == "backoff: !backing_off; timer 4s;");
  CHECK(b.feed(timer_fired{timer::backoff}) == "failed: !failed;");
  CHECK_THAT(b.m.reason, Catch::Contains("start limit: 3 starts within 10m"));
  CHECK_THAT(b.m.reason, !Catch::Contains("next start in"));
  CHECK(b.feed(start_wanted{}) == "starting: prepare;");
  CHECK(b.m.restarts == 2);
}

TEST_CASE(
    "at its start limit a unit waits for the data of another that is about to be replaced, and begins anew on it") {
  bench b;
  b.unit.id = {"rpc", 0};
  b.unit.data.shared_with = "leap";
  b.unit.restart.start_limit_count = 1;
  b.f.data_recovers = true;
  b.run();
  CHECK(b.exits(1) == "backoff: !backing_off; timer 1s;");  // it is tried as ever
  CHECK(b.feed(timer_fired{timer::backoff}) == "waiting: !waiting;");
  CHECK_THAT(b.m.reason, Catch::Contains("start limit: 1 starts within 10m") &&
                             Catch::Contains("once the data of leap is restored"));
  CHECK(b.feed(requirements_changed{}) == "waiting:");  // the next snapshot is tried
  SECTION("it is replaced right now, and then it is there") {
    b.f.requirements_met = b.f.data_recovers = false;
    b.f.waiting_for = "waiting for leap (its data is being restored)";
    CHECK(b.feed(requirements_changed{}) == "waiting:");
    CHECK(b.m.reason == "waiting for leap (its data is being restored)");
    b.f.requirements_met = true;
    CHECK(b.feed(requirements_changed{}) == "starting: prepare;");
    b.feed(prepared{});
    b.feed(spawned{2});
    b.exits(1);
    CHECK(b.feed(timer_fired{timer::backoff}) == "failed: !failed;");
  }
  SECTION("a person starts it") {
    CHECK(b.feed(start_wanted{}) == "starting: prepare;");
  }
  SECTION("a person resets it") {
    CHECK(b.feed(reset_wanted{}) == "starting: prepare;");
  }
  SECTION("a person stops it") {
    CHECK(b.feed(stop_wanted{}) == "stopped: !stopped;");
    b.f.data_recovers = false;
    CHECK(b.feed(requirements_changed{}) == "stopped:");
  }
  SECTION("hasupd starts what is enabled") {
    CHECK(b.feed(start_wanted{false}) == "waiting:");
  }
}

TEST_CASE("a healthy minute resets the backoff") {
  bench b;
  b.run();
  b.exits(1);
  b.feed(timer_fired{timer::backoff});
  b.feed(prepared{});
  b.feed(spawned{2});
  b.f.now += 61s;
  CHECK(b.exits(1) == "backoff: !backing_off; timer 1s;");
}

TEST_CASE("restart policies: never, on_failure and always, and exit 0 before startup is a failed start") {
  bench b;
  SECTION("always restarts a success") {
    b.run();
    CHECK(b.exits(0) == "backoff: !backing_off; timer 1s;");
  }
  SECTION("on_failure completes on success") {
    b.unit.restart.policy = model::restart_when::on_failure;
    b.run();
    CHECK(b.exits(0) == "completed: !completed;");
  }
  SECTION("on_failure restarts a failure") {
    b.unit.restart.policy = model::restart_when::on_failure;
    b.run();
    CHECK(b.exits(3) == "backoff: !backing_off; timer 1s;");
  }
  SECTION("never fails on failure") {
    b.unit.restart.policy = model::restart_when::never;
    b.run();
    CHECK(b.exits(3) == "failed: !failed;");
  }
  SECTION("exit 0 before startup passed is a failed start") {
    b.unit.restart.policy = model::restart_when::on_failure;
    b.add_startup();
    b.feed(start_wanted{});
    b.feed(prepared{});
    b.feed(spawned{1});
    CHECK(b.exits(0) == "backoff: !backing_off; timer 1s;");
    CHECK_THAT(b.m.reason, Catch::Contains("failed start"));
  }
}

TEST_CASE("a class that says recover begins a recovery once the tree is empty") {
  bench b;
  b.add_recovery();
  b.add_startup();
  b.feed(start_wanted{});
  b.feed(prepared{});
  b.feed(spawned{1});
  CHECK(b.exits(2, exit_action::recover) == "recovering: !recovering; begin_recovery;");
  CHECK(b.feed(recovery_ended{recovery_ended::outcome::recovered, "restored snapshot-1"}) ==
        "running: !running; !became_healthy; probe steady;");
  CHECK(b.m.recoveries == 1);
}

TEST_CASE("a recovery that was counted when its journal went is not counted again") {
  bench b;
  b.add_recovery();
  b.feed(start_wanted{});
  b.feed(prepared{});
  b.feed(spawned{1});
  b.exits(2, exit_action::recover);
  b.m.recoveries = 1;
  recovery_ended ended{recovery_ended::outcome::recovered, "restored snapshot-1"};
  ended.counted = true;
  b.feed(ended);
  CHECK(b.m.recoveries == 1);
}

TEST_CASE("a node that was executed anew after its recovery was confirmed is healthy when its probes say so") {
  bench b;
  b.add_recovery();
  b.add_startup();
  b.feed(start_wanted{});
  b.feed(prepared{});
  b.feed(spawned{1});
  b.exits(2, exit_action::recover);
  recovery_ended ended{recovery_ended::outcome::recovered, "restored snapshot-1"};
  ended.serves = false;
  CHECK(b.feed(ended) == "starting: probe startup; timer 5m;");
  CHECK(b.m.health == model::health::unknown);
  CHECK(b.feed(startup_passed{}) == "running: !running; !became_healthy; probe steady;");
}

TEST_CASE("one that was executed anew after its recovery and never answers is restarted when its time is over") {
  bench b;
  b.add_recovery();
  b.add_startup();
  b.feed(start_wanted{});
  b.feed(prepared{});
  b.feed(spawned{1});
  b.exits(2, exit_action::recover);
  recovery_ended ended{recovery_ended::outcome::recovered, "restored snapshot-1"};
  ended.serves = false;
  b.feed(ended);
  CHECK(b.feed(timer_fired{timer::start_timeout}).starts_with("stopping: !start_failed; "));
}

TEST_CASE("a class that says hold fails at once and is never restarted or wiped") {
  bench b;
  b.add_recovery();
  b.run();
  CHECK(b.exits(254, exit_action::hold) == "failed: !failed;");
}

TEST_CASE("a class that says restart never counts towards a recovery") {
  bench b;
  b.add_recovery();
  b.add_startup();
  b.feed(start_wanted{});
  for (int i = 0; i < 6; ++i) {
    b.feed(prepared{});
    b.feed(spawned{1});
    CHECK_THAT(b.exits(0, exit_action::restart), Catch::StartsWith("backoff:"));
    b.feed(timer_fired{timer::backoff});
  }
}

TEST_CASE("a class that says next_endpoint leaves the endpoint and is a restart otherwise, start limit and all") {
  bench b;
  b.add_recovery();
  b.add_startup();
  b.unit.restart.start_limit_count = 4;
  b.feed(start_wanted{});
  for (int i = 0; i < 4; ++i) {
    b.feed(prepared{});
    b.feed(spawned{1});
    classification c{"refused", exit_action::next_endpoint, "refuses", ""};
    c.upstream = "leap";
    b.f.after_endpoint = "b is the next of upstream leap";
    CHECK(b.feed(main_exited{{1, std::nullopt, false}, c}) == "stopping: !exited; leave_endpoint leap; timer 5s;");
    CHECK(b.m.reason == "failed start: exited with code 1: refused; b is the next of upstream leap");
    CHECK_THAT(b.feed(tree_emptied{}), Catch::StartsWith("backoff:"));
    CHECK(b.m.failed_starts == 0);
    b.feed(timer_fired{timer::backoff});
  }
  CHECK(b.state() == model::unit_state::failed);
  CHECK_THAT(b.m.reason, Catch::StartsWith("start limit: 4 starts"));
}

TEST_CASE("a run that is being stopped leaves no endpoint") {
  bench b;
  b.run();
  b.feed(stop_wanted{});
  CHECK(b.exits(1, exit_action::next_endpoint) == "stopped: !stopped;");
}

TEST_CASE("unexplained failed starts recover only at the trigger, unexplained later exits never") {
  bench b;
  b.add_recovery();
  b.add_startup();
  b.run();
  for (int i = 0; i < 3; ++i) {
    CHECK_THAT(b.exits(1), Catch::StartsWith("backoff:"));
    b.feed(timer_fired{timer::backoff});
    b.feed(prepared{});
    b.feed(spawned{1});
    b.feed(startup_passed{});
  }
  b.exits(1);
  for (int i = 0; i < 2; ++i) {
    b.feed(timer_fired{timer::backoff});
    b.feed(prepared{});
    b.feed(spawned{1});
    const auto line = b.exits(1);
    CHECK_THAT(line, Catch::StartsWith(i == 0 ? "backoff:" : "recovering:"));
  }
}

TEST_CASE("failed starts are in a row only without one between them that was explained") {
  bench b;
  b.add_recovery();
  b.add_startup();
  b.feed(start_wanted{});
  const auto fails = [&b](exit_action what) {
    b.feed(prepared{});
    b.feed(spawned{1});
    auto line = b.exits(1, what);
    b.feed(timer_fired{timer::backoff});
    return line;
  };
  for (int i = 0; i < 4; ++i) {
    CHECK_THAT(fails(exit_action::unexplained), Catch::StartsWith("backoff:"));
    CHECK_THAT(fails(exit_action::restart), Catch::StartsWith("backoff:"));
    CHECK(b.m.failed_starts == 0);
  }
  CHECK_THAT(fails(exit_action::unexplained), Catch::StartsWith("backoff:"));
  CHECK_THAT(fails(exit_action::unexplained), Catch::StartsWith("recovering:"));
}

TEST_CASE("a start that takes too long is restarted but never counts as broken data") {
  bench b;
  b.add_recovery();
  b.add_startup();
  b.feed(start_wanted{});
  for (int i = 0; i < 4; ++i) {
    b.feed(prepared{});
    b.feed(spawned{1});
    CHECK(b.feed(timer_fired{timer::start_timeout}) == "stopping: !start_failed; !stopping; send_stop; timer 10s;");
    b.feed(main_exited{{0, std::nullopt, false}, {}});
    CHECK_THAT(b.feed(tree_emptied{}), Catch::StartsWith("backoff:"));
    b.feed(timer_fired{timer::backoff});
  }
}

TEST_CASE("the answer to prepare decides: refused fails, not yet waits and asks again, missing state recovers") {
  bench b;
  b.feed(start_wanted{});
  SECTION("another writer") {
    CHECK(b.feed(prepared{prepared::verdict::refused, "open by pid 7"}) == "failed: !failed;");
    CHECK(b.m.reason == "open by pid 7");
  }
  SECTION("volume not mounted: no start is counted") {
    for (int i = 0; i < 30; ++i) {
      CHECK(b.feed(prepared{prepared::verdict::not_yet, "not mounted"}) ==
            (i == 0 ? "waiting: !waiting; timer 5s;" : "waiting: timer 5s;"));
      CHECK(b.feed(timer_fired{timer::prepare_again}) == "starting: prepare;");
    }
  }
  SECTION("missing state without a recovery") {
    CHECK(b.feed(prepared{prepared::verdict::needs_recovery, "no state"}) == "failed: !failed;");
  }
  SECTION("missing state with a recovery") {
    b.add_recovery();
    CHECK(b.feed(prepared{prepared::verdict::needs_recovery, "no state"}) ==
          "recovering: !recovering; begin_recovery;");
  }
}

TEST_CASE("stop and start meet in every state without losing the last word") {
  bench b;
  SECTION("stop while preparing") {
    b.feed(start_wanted{});
    CHECK(b.feed(stop_wanted{}) == "stopping: cancel_prepare;");
    CHECK(b.feed(tree_emptied{}) == "stopped: !stopped;");
    CHECK(b.feed(prepared{}) == "stopped:");
  }
  SECTION("start while stopping") {
    b.run();
    b.feed(stop_wanted{});
    CHECK(b.feed(start_wanted{}) == "stopping:");
    b.feed(main_exited{{0, std::nullopt, false}, {}});
    CHECK(b.feed(tree_emptied{}) == "starting: prepare;");
  }
  SECTION("stop during a crash's clean-up") {
    b.run();
    b.feed(main_exited{{1, std::nullopt, false}, {}});
    b.feed(stop_wanted{});
    CHECK(b.feed(tree_emptied{}) == "stopped: !stopped;");
  }
  SECTION("stop in backoff, waiting, failed") {
    b.run();
    b.exits(1);
    CHECK(b.feed(stop_wanted{}) == "stopped: !stopped;");
    CHECK(b.feed(timer_fired{timer::backoff}) == "stopped:");
  }
  SECTION("restart runs through an orderly stop") {
    b.run();
    CHECK(b.feed(restart_wanted{}) == "stopping: !stopping; send_stop; timer 10s;");
    b.feed(main_exited{{0, std::nullopt, false}, {}});
    CHECK(b.feed(tree_emptied{}) == "starting: prepare;");
  }
  SECTION("stop during a recovery asks the recovery, which answers") {
    b.add_recovery();
    b.run();
    b.feed(recover_wanted{"by hand"});
    b.feed(main_exited{{0, std::nullopt, false}, {}});
    b.feed(tree_emptied{});
    CHECK(b.state() == model::unit_state::recovering);
    CHECK(b.feed(stop_wanted{}) == "recovering: stop_recovery;");
    CHECK(b.feed(recovery_ended{recovery_ended::outcome::stopped, "cancelled"}) == "stopped: !stopped;");
  }
}

TEST_CASE("a parked recovery goes on with the next start instead of starting the node") {
  bench b;
  b.add_recovery();
  b.f.recovery_parked = true;
  CHECK(b.feed(start_wanted{}) == "recovering: !recovering; resume_recovery;");
}

TEST_CASE("mode ask: prepared waits for a yes") {
  bench b;
  b.add_recovery();
  b.feed(recover_wanted{"by hand"});
  CHECK(b.feed(recovery_ended{recovery_ended::outcome::asking, "prepared"}) == "asking: !asking;");
  CHECK(b.feed(approved{}) == "recovering: !recovering; approve_recovery;");
}

TEST_CASE("after an adoption health is unknown until probed") {
  bench b;
  b.add_readiness();
  b.m.desired = model::desired::up;
  CHECK(b.feed(adopted{5}) == "running: !adopted; probe steady;");
  CHECK(b.m.health == model::health::unknown);
}

TEST_CASE("what was to be stopped when hasupd died is stopped by the next one") {
  bench b;
  CHECK(b.feed(adopted{5}) == "stopping: !adopted; !stopping; send_stop; timer 10s;");
}

TEST_CASE("a lost requirement: keep goes on, restart waits for it, stop stays down") {
  bench b;
  b.run();
  CHECK(b.feed(requirement_lost{model::on_loss::keep, "leap is gone"}) == "running:");
  SECTION("restart") {
    b.f.requirements_met = false;
    b.f.waiting_for = "waiting for leap (healthy)";
    CHECK(b.feed(requirement_lost{model::on_loss::restart, "leap is gone"}) ==
          "stopping: !stopping; send_stop; timer 10s;");
    b.feed(main_exited{{0, std::nullopt, false}, {}});
    CHECK(b.feed(tree_emptied{}) == "waiting: !waiting;");
    CHECK(b.m.desired == model::desired::up);
  }
  SECTION("stop") {
    b.feed(requirement_lost{model::on_loss::stop, "leap is gone"});
    b.feed(main_exited{{0, std::nullopt, false}, {}});
    CHECK(b.feed(tree_emptied{}) == "stopped: !stopped;");
    CHECK(b.m.desired == model::desired::down);
  }
}

TEST_CASE("a requirement that is lost and back before the start is ready does not leave it waiting") {
  bench b;
  b.feed(start_wanted{});
  CHECK(b.feed(requirement_lost{model::on_loss::restart, "leap is gone"}) == "starting:");
  CHECK(b.feed(prepared{}) == "starting: spawn;");
}

TEST_CASE("a failed liveness restarts in order, only when it runs") {
  bench b;
  b.add_startup();
  b.feed(start_wanted{});
  b.feed(prepared{});
  b.feed(spawned{1});
  CHECK(b.feed(liveness_failed{"head stands still"}) == "starting:");
  b.feed(startup_passed{});
  CHECK(b.feed(liveness_failed{"head stands still"}) == "stopping: !stopping; send_stop; timer 10s;");
  b.feed(main_exited{{0, std::nullopt, false}, {}});
  CHECK(b.feed(tree_emptied{}) == "backoff: !backing_off; timer 1s;");
}

TEST_CASE("too much memory restarts in order, whatever the policy, with a pause that grows, and only what runs") {
  bench b;
  b.unit.restart.policy = model::restart_when::never;
  b.feed(start_wanted{});
  CHECK(b.feed(memory_exceeded{"uses too much"}) == "starting:");
  b.feed(prepared{});
  b.feed(spawned{1});
  CHECK(b.feed(memory_exceeded{"uses too much"}) == "stopping: !stopping; send_stop; timer 10s;");
  CHECK(b.m.reason == "uses too much");
  CHECK(b.feed(memory_exceeded{"uses too much"}) == "stopping:");
  b.feed(main_exited{{0, std::nullopt, false}, {}});
  CHECK(b.feed(tree_emptied{}) == "backoff: !backing_off; timer 1s;");
  CHECK(b.feed(timer_fired{timer::backoff}) == "starting: prepare;");
  CHECK(b.m.restarts == 1);
  CHECK(b.m.desired == model::desired::up);
  b.feed(stop_wanted{});
  b.feed(tree_emptied{});
  CHECK(b.feed(memory_exceeded{"uses too much"}) == "stopped:");
}

TEST_CASE("a node whose shim died is restarted in order; one that is never started again may come to its end") {
  bench b;
  b.unit.restart.policy = GENERATE(model::restart_when::always, model::restart_when::on_failure);
  b.feed(start_wanted{});
  b.feed(prepared{});
  b.feed(spawned{1});
  CHECK(b.feed(parent_lost{"its shim died"}) == "stopping: !stopping; send_stop; timer 10s;");
  CHECK(b.m.reason == "its shim died");
  b.feed(main_exited{{}, {}});
  CHECK(b.m.exit->class_name == "lost");
  CHECK(b.feed(tree_emptied{}) == "backoff: !backing_off; timer 1s;");

  bench once;
  once.unit.restart.policy = model::restart_when::never;
  once.feed(start_wanted{});
  once.feed(prepared{});
  once.feed(spawned{1});
  CHECK(once.feed(parent_lost{"its shim died"}) == "running:");
  once.feed(main_exited{{}, {}});
  CHECK(once.feed(tree_emptied{}) == "failed: !failed;");
}

TEST_CASE("an exit code that the unit calls a success is told as one") {
  bench b;
  b.unit.restart.policy = model::restart_when::on_failure;
  b.unit.restart.success_codes = {0, 3};
  SECTION("after a run") {
    b.run();
    CHECK(b.exits(3) == "completed: !completed;");
    CHECK(b.m.reason == "exited with code 3: clean exit");
    CHECK(b.m.exit->class_name == "clean exit");
  }
  SECTION("after a stop") {
    b.run();
    b.feed(stop_wanted{});
    b.exits(3);
    CHECK(b.m.exit->class_name == "clean exit");
  }
  SECTION("unless something else explains it") {
    b.run();
    b.exits(3, exit_action::restart);
    CHECK(b.m.exit->class_name == "a class");
  }
  SECTION("another code is none") {
    b.run();
    CHECK(b.exits(4) == "backoff: !backing_off; timer 1s;");
    CHECK(b.m.exit->class_name == "unexplained");
  }
  SECTION("nor is it one before startup has passed") {
    b.add_startup();
    b.feed(start_wanted{});
    b.feed(prepared{});
    b.feed(spawned{100});
    CHECK(b.exits(3) == "backoff: !backing_off; timer 1s;");
    CHECK(b.m.exit->class_name == "unexplained");
  }
}

TEST_CASE("a program that cannot be executed is held, a lost status is never a success") {
  bench b;
  b.unit.restart.policy = model::restart_when::on_failure;
  SECTION("missing program") {
    b.feed(start_wanted{});
    b.feed(prepared{});
    classification c;
    c.name = "missing program";
    c.action = exit_action::hold;
    CHECK(b.feed(spawn_failed{c, "/usr/bin/nodeos: No such file or directory"}) == "failed: !start_failed; !failed;");
    CHECK_THAT(b.m.reason, Catch::StartsWith("/usr/bin/nodeos: No such file"));
  }
  SECTION("lost") {
    const auto [policy, then] = GENERATE(table<model::restart_when, std::string>(
        {{model::restart_when::always, "backoff: !backing_off; timer 1s;"},
         {model::restart_when::on_failure, "backoff: !backing_off; timer 1s;"},
         {model::restart_when::never, "failed: !failed;"}}));
    b.unit.restart.policy = policy;
    b.unit.restart.success_codes = {0, 1, 143};
    b.run();
    b.feed(main_exited{{}, {}});
    CHECK(b.feed(tree_emptied{}) == then);
    CHECK(b.m.exit->class_name == "lost");
  }
}

TEST_CASE("backoff grows by its factor up to the maximum, moved by the jitter") {
  model::restart_policy p;
  p.backoff_jitter = 0;
  CHECK(backoff_delay(p, 0, 0.5) == 1s);
  CHECK(backoff_delay(p, 3, 0.5) == 8s);
  CHECK(backoff_delay(p, 1000, 0.5) == 60s);
  p.backoff_jitter = 0.1;
  CHECK(backoff_delay(p, 0, 0.0) == 900ms);
  CHECK(backoff_delay(p, 0, 0.999999) == 1100ms);
  p.backoff_initial = 0ms;
  CHECK(backoff_delay(p, 5, 0.9) == 0ms);
}

TEST_CASE("the start limit counts a sliding window and forgets starts from a future clock") {
  model::restart_policy p;
  p.start_limit_count = 2;
  p.start_limit_within = 10s;
  std::deque<base::wall_time> starts;
  const base::wall_time t = base::wall_time{} + 1000h;
  CHECK_FALSE(start_limit_hit(p, starts, t));
  CHECK_FALSE(start_limit_hit(p, starts, t + 1s));
  CHECK(start_limit_hit(p, starts, t + 2s));
  CHECK_FALSE(start_limit_hit(p, starts, t + 11s));
  CHECK_FALSE(start_limit_hit(p, starts, t - 1h));
}
