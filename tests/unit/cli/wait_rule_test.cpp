// When waiting ends: a table of sightings.
#include <catch2/catch.hpp>

#include "cli/wait_rule.hpp"

using namespace hasup;
using namespace hasup::cli;
using model::unit_state;

namespace {

control::instance_status in(unit_state s, model::health h = model::health::unknown, int pid = 0) {
  control::instance_status u;
  u.state = s;
  u.health = h;
  u.desired = model::desired::up;
  if (pid) u.pid = pid;
  return u;
}
constexpr auto healthy = model::health::healthy;

sighting seen(control::instance_status before, control::instance_status now, bool moved = false,
              bool grace_over = false) {
  return {std::move(before), std::move(now), moved, grace_over};
}

}  // namespace

TEST_CASE("start ends when it is healthy or completed, and not before") {
  const auto was = in(unit_state::stopped);
  for (const auto s :
       {unit_state::waiting, unit_state::starting, unit_state::backoff, unit_state::recovering, unit_state::stopping})
    CHECK(judge(goal::started, seen(was, in(s), true, true)) == standing::pending);
  CHECK(judge(goal::started, seen(was, in(unit_state::running, model::health::unhealthy), true)) ==
        standing::pending);
  CHECK(judge(goal::started, seen(was, in(unit_state::running, healthy))) == standing::reached);
  CHECK(judge(goal::started, seen(was, in(unit_state::completed))) == standing::reached);
}

TEST_CASE("a failure from before the command is not its outcome") {
  const auto was = in(unit_state::failed);
  CHECK(judge(goal::started, seen(was, was)) == standing::pending);
  CHECK(judge(goal::started, seen(was, was, true)) == standing::lost);
  CHECK(judge(goal::started, seen(was, was, false, true)) == standing::lost);
  auto later = was;
  later.since = std::chrono::system_clock::now();
  CHECK(judge(goal::started, seen(was, later)) == standing::lost);
  CHECK(judge(goal::started, seen(in(unit_state::stopped), was)) == standing::lost);
}

TEST_CASE("a unit that somebody else stopped, or that asks for a person, ends the wait") {
  auto stopped = in(unit_state::stopped);
  stopped.desired = model::desired::down;
  CHECK(judge(goal::started, seen(in(unit_state::starting), stopped, true)) == standing::lost);
  CHECK(judge(goal::started, seen(stopped, stopped)) == standing::pending);
  CHECK(judge(goal::started, seen(stopped, in(unit_state::asking), true)) == standing::lost);
}

TEST_CASE("stop ends in every state at rest") {
  const auto was = in(unit_state::running, healthy, 1);
  CHECK(judge(goal::stopped, seen(was, in(unit_state::stopping))) == standing::pending);
  CHECK(judge(goal::stopped, seen(was, in(unit_state::recovering))) == standing::pending);
  for (const auto s : {unit_state::stopped, unit_state::failed, unit_state::completed})
    CHECK(judge(goal::stopped, seen(was, in(s))) == standing::reached);
}

TEST_CASE("restart ends in another process") {
  const auto was = in(unit_state::running, healthy, 1);
  CHECK(judge(goal::restarted, seen(was, was, true)) == standing::pending);
  CHECK(judge(goal::restarted, seen(was, in(unit_state::running, healthy, 2))) == standing::reached);
  CHECK(judge(goal::restarted, seen(in(unit_state::stopped), in(unit_state::running, healthy, 2))) ==
        standing::reached);
  CHECK(judge(goal::restarted, seen(was, in(unit_state::failed), true)) == standing::lost);
}

TEST_CASE("recover ends healthy after something happened") {
  const auto was = in(unit_state::running, healthy, 1);
  CHECK(judge(goal::recovered, seen(was, was)) == standing::pending);
  auto recovered = in(unit_state::running, healthy, 2);
  recovered.recoveries = 1;
  CHECK(judge(goal::recovered, seen(was, recovered)) == standing::reached);
  recovered.recovery = control::recovery_status{};
  CHECK(judge(goal::recovered, seen(was, recovered)) == standing::pending);
  CHECK(judge(goal::recovered, seen(was, in(unit_state::failed), true)) == standing::lost);
}

TEST_CASE("recover of a node that was never stopped ends when the recovery does, or asks") {
  const auto was = in(unit_state::running, healthy, 1);
  auto now = was;
  now.recovery = control::recovery_status{};
  CHECK(judge(goal::recovered, seen(was, now, true)) == standing::pending);
  now.recovery->asks = true;
  CHECK(judge(goal::recovered, seen(was, now, true)) == standing::lost);
  now.recovery.reset();
  CHECK(judge(goal::recovered, seen(was, now, true)) == standing::lost);
  now.health = model::health::unhealthy;
  CHECK(judge(goal::recovered, seen(was, now, true)) == standing::lost);
}

TEST_CASE("wait only looks: a failed unit will not become healthy by itself") {
  const auto failed = in(unit_state::failed);
  CHECK(judge(goal::healthy, seen(failed, failed)) == standing::lost);
  CHECK(judge(goal::at_rest, seen(failed, failed)) == standing::reached);
  const auto stopped = in(unit_state::stopped);
  CHECK(judge(goal::healthy, seen(stopped, stopped, true, true)) == standing::pending);
  CHECK(judge(goal::running, seen(stopped, in(unit_state::running))) == standing::reached);
  CHECK(judge(goal::completed, seen(stopped, in(unit_state::completed))) == standing::reached);
  CHECK(judge(goal::completed, seen(stopped, in(unit_state::running, healthy))) == standing::pending);
}

namespace {

control::instance_status named(const std::string& unit, unit_state s, const std::vector<std::string>& waits = {}) {
  auto u = in(s);
  u.unit = unit;
  u.waiting_for = waits;
  return u;
}

const auto believe = [](const control::instance_status&) { return true; };

}  // namespace

TEST_CASE("a failure that is tried again by itself is no end of the wait") {
  auto failed = in(unit_state::failed);
  CHECK(retry_text(failed).empty());
  CHECK(judge(goal::healthy, seen(failed, failed)) == standing::lost);
  failed.next_attempt_at = base::wall_time{} + std::chrono::hours(1);
  CHECK(retry_text(failed) == "next attempt at 1970-01-01T01:00:00Z");
  for (const auto g : {goal::healthy, goal::started, goal::restarted, goal::running, goal::completed})
    CHECK(judge(g, seen(in(unit_state::starting), failed, true, true)) == standing::pending);
}

TEST_CASE("what waits for a unit that has failed for good can never be started") {
  auto leap = named("leap", unit_state::failed);
  leap.reason = "dirty\ndatabase";
  const auto evm = named("evm", unit_state::waiting, {"leap (healthy)"});
  const auto rpc = named("rpc", unit_state::waiting, {"other (started)", "evm (healthy)"});
  CHECK(blocked_by(evm, {leap, evm}, believe) ==
        "waits for leap, which has failed: dirty database; `hasup why leap`");
  CHECK(blocked_by(rpc, {leap, evm, rpc}, believe) ==
        "waits for evm, which waits for leap, which has failed: dirty database; `hasup why leap`");
  CHECK(blocked_by(evm, {leap, evm}, [](const auto&) { return false; }).empty());
  CHECK(blocked_by(named("evm", unit_state::running), {leap}, believe).empty());
  leap.next_attempt_at = base::wall_time{};
  CHECK(blocked_by(evm, {leap, evm}, believe).empty());
}

TEST_CASE("a requirement that asks for a person, some of several instances, and a loop") {
  const auto evm = named("evm", unit_state::waiting, {"leap (its data is being restored)"});
  CHECK(blocked_by(evm, {named("leap", unit_state::asking)}, believe) ==
        "waits for leap, which asks for a person; `hasup why leap`, `hasup recover leap --yes` goes on");
  auto first = named("miner", unit_state::failed), second = named("miner", unit_state::starting);
  first.instances = second.instances = 2;
  second.instance = 1;
  const auto proxy = named("proxy", unit_state::waiting, {"miner (started)"});
  CHECK(blocked_by(proxy, {first, second}, believe).empty());
  second.state = unit_state::failed;
  CHECK(blocked_by(proxy, {first, second}, believe) == "waits for miner@0, which has failed; `hasup why miner@0`");
  first = second = named("miner", unit_state::waiting, {"leap (healthy)"});
  CHECK_FALSE(blocked_by(proxy, {first, second, named("leap", unit_state::failed)}, believe).empty());
  CHECK(
      blocked_by(named("a", unit_state::waiting, {"b (healthy)"}),
                 {named("a", unit_state::waiting, {"b (healthy)"}), named("b", unit_state::waiting, {"a (healthy)"})},
                 believe)
          .empty());
}

TEST_CASE("what has run once is called completed, not healthy") {
  CHECK(reached_text(goal::started, 0, 1) == "healthy");
  CHECK(reached_text(goal::started, 1, 1) == "completed");
  CHECK(reached_text(goal::healthy, 1, 3) == "healthy or completed");
  CHECK(reached_text(goal::restarted, 2, 2) == "completed");
  CHECK(reached_text(goal::completed, 2, 2) == "completed");
  CHECK(reached_text(goal::running, 0, 1) == "running");
  CHECK(reached_text(goal::stopped, 1, 2) == "stopped");
  CHECK(reached_text(goal::at_rest, 1, 1) == "stopped");
}
