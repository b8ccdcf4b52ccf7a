// What load balancers are told, from the states of units.
#include "health/answer.hpp"

#include <catch2/catch.hpp>

using namespace hasup;
using namespace hasup::health;
using model::unit_state;

namespace {

instance_view up(const std::string& unit, unsigned index = 0) {
  return {{unit, index}, unit_state::running, model::health::healthy, model::desired::up, "readiness passed", {}, {}};
}

instance_view in(unit_state s, const std::string& why, instance_view i) {
  i.state = s;
  i.health = model::health::unknown;
  i.reason = why;
  return i;
}

instance_view ill(model::health h, const std::string& why, instance_view i) {
  i.health = h;
  i.reason = why;
  return i;
}

const model::health_group evm{"evm", {{{"rpc", {}}, 1}, {{"miner", {}}, 2}}, {}};

// rpc and four miners, all healthy
std::vector<instance_view> evm_units() {
  std::vector<instance_view> all{up("rpc")};
  for (unsigned n = 0; n < 4; ++n) all.push_back(up("miner", n));
  return all;
}

}  // namespace

TEST_CASE("a unit that runs and is healthy gets requests, and nothing else does") {
  const auto of = [](const instance_view& i) { return answer_for("leap", {i}, {}); };
  CHECK(of(up("leap")).healthy);
  CHECK(of(up("leap")).text == "leap: healthy\n");
  CHECK(of(up("leap")).agent == "ready up 100%");
  const auto unknown = of(ill(model::health::unknown, "adopted: pid 7 ran on", up("leap")));
  CHECK_FALSE(unknown.healthy);
  CHECK(unknown.text == "leap: unknown: adopted: pid 7 ran on\n");
  const auto stuck = of(ill(model::health::unhealthy, "head age 12s, at most 10s", up("leap")));
  CHECK_FALSE(stuck.healthy);
  CHECK(stuck.text == "leap: unhealthy: head age 12s, at most 10s\n");
  CHECK(stuck.agent == "down #leap: unhealthy: head age 12s, at most 10s");
  for (const auto s :
       {unit_state::stopped, unit_state::waiting, unit_state::starting, unit_state::completed, unit_state::backoff,
        unit_state::stopping, unit_state::recovering, unit_state::failed, unit_state::asking}) {
    const std::string word(model::unit_state_names.text(s));
    INFO(word);
    auto i = in(s, "because", up("leap"));
    CHECK_FALSE(of(i).healthy);
    CHECK(of(i).text == "leap: " + word + ": because\n");
    i.health = model::health::healthy;  // of a node that its recovery still has
    CHECK_FALSE(of(i).healthy);
  }
}

TEST_CASE("of several instances one is enough, and each has an answer of its own") {
  auto all = evm_units();
  all[2] = in(unit_state::backoff, "exited with code 1", all[2]);
  const auto unit = answer_for("miner", all, {});
  CHECK(unit.healthy);
  CHECK(unit.text == "miner: 3 of 4 healthy; miner@1 backoff: exited with code 1\n");
  CHECK(unit.agent == "ready up 75%");
  CHECK(answer_for("miner@0", all, {}).healthy);
  CHECK_FALSE(answer_for("miner@1", all, {}).healthy);
  CHECK(answer_for("miner@1", all, {}).text == "miner@1: backoff: exited with code 1\n");
  for (auto& i : all) i = in(unit_state::starting, "", i);
  CHECK_FALSE(answer_for("miner", all, {}).healthy);
}

TEST_CASE("what is not there is not known") {
  for (const auto* name : {"other", "miner@4", "rpc@1", "", "../etc", "Miner"}) {
    INFO(name);
    CHECK_FALSE(answer_for(name, evm_units(), {}).known);
    CHECK_FALSE(answer_for(name, evm_units(), {}).healthy);
  }
  CHECK(answer_for("evm", evm_units(), {evm}).known);
}

TEST_CASE("a group is healthy when each of its units has enough healthy instances") {
  auto all = evm_units();
  CHECK(answer_for("evm", all, {evm}).healthy);
  CHECK(answer_for("evm", all, {evm}).text == "rpc: healthy\nminer: 4 of 4 healthy, at least 2 needed\n");
  all[1] = all[2] = in(unit_state::failed, "", all[1]);
  CHECK(answer_for("evm", all, {evm}).healthy);
  CHECK(answer_for("evm", all, {evm}).agent == "ready up 50%");
  all[3] = ill(model::health::unhealthy, "", all[3]);
  CHECK_FALSE(answer_for("evm", all, {evm}).healthy);
  all = evm_units();
  all[0] = ill(model::health::unhealthy, "connection refused", all[0]);
  CHECK_FALSE(answer_for("evm", all, {evm}).healthy);
  CHECK(answer_for("evm", all, {evm}).agent == "down #rpc: unhealthy: connection refused");
  all.erase(all.begin());
  const auto gone = answer_for("evm", all, {evm});
  CHECK(gone.known);
  CHECK_FALSE(gone.healthy);
  CHECK(gone.text == "rpc: no such unit\nminer: 4 of 4 healthy, at least 2 needed\n");
  CHECK(gone.agent == "down #rpc: no such unit");
}

TEST_CASE("a group may name one instance") {
  auto all = evm_units();
  const model::health_group one{"one", {{{"miner", 3U}, 1}}, {}};
  CHECK(answer_for(one, all).text == "miner@3: healthy\n");
  all[4] = in(unit_state::stopped, "stopped by hand", all[4]);
  CHECK_FALSE(answer_for(one, all).healthy);
}

TEST_CASE("the weight is the share of healthy instances, of the unit that has the fewest") {
  std::vector<instance_view> many;
  for (unsigned n = 0; n < 300; ++n) many.push_back(n == 0 ? up("m", n) : in(unit_state::failed, "", up("m", n)));
  CHECK(answer_for("m", many, {}).agent == "ready up 1%");  // what is up is never drained by rounding
  auto all = evm_units();
  all[4] = in(unit_state::stopping, "restarted by hand", all[4]);
  CHECK(answer_for("evm", all, {evm}).agent == "ready up 75%");
}

TEST_CASE("HAProxy is told of a restored snapshot, and of what a person has stopped") {
  auto all = evm_units();
  all[0] = in(unit_state::recovering, "dirty database", all[0]);
  all[0].restoring = true;
  CHECK(answer_for("evm", all, {evm}).agent == "stopped #restoring snapshot");
  CHECK(answer_for("evm", all, {evm}).text.starts_with("rpc: recovering: dirty database\n"));
  all[0] = in(unit_state::stopped, "stopped by hand", up("rpc"));
  all[0].desired = model::desired::down;
  CHECK(answer_for("evm", all, {evm}).agent == "stopped #rpc: stopped: stopped by hand");
  all[0] = in(unit_state::stopping, "restarted by hand", up("rpc"));
  CHECK(answer_for("evm", all, {evm}).agent == "down #rpc: stopping: restarted by hand");
}

TEST_CASE("what is about to stop gets no more requests, and may finish those that it has") {
  auto all = evm_units();
  const auto drains = [](const instance_view& of) {
    auto i = in(unit_state::stopping, "stopped by hand; draining for 5s first", of);
    i.draining = true;
    return i;
  };
  all[0] = drains(all[0]);
  const auto a = answer_for("rpc", all, {});
  CHECK_FALSE(a.healthy);
  CHECK(a.text == "rpc: draining: stopped by hand; draining for 5s first\n");
  CHECK(a.agent == "drain");
  CHECK(answer_for("evm", all, {evm}).agent == "drain");
  all[1] = all[2] = in(unit_state::failed, "", all[1]);
  all[3] = drains(all[3]);
  CHECK(answer_for("evm", all, {evm}).agent == "drain");  // two of four do for the miner, one of them drains
  all[4] = in(unit_state::failed, "", all[4]);
  CHECK(answer_for("evm", all, {evm}).agent.starts_with("down #rpc: draining"));
  all = evm_units();
  all[1] = drains(all[1]);
  CHECK(answer_for("evm", all, {evm}).agent == "ready up 75%");
}

TEST_CASE("what a node prints cannot make lines of its own, or long ones") {
  const auto i = ill(model::health::unhealthy, "line\nready up 100%\r\n" + std::string(5000, 'x'), up("leap"));
  const auto a = answer_for("leap", {i}, {});
  CHECK(a.text.find('\n') == a.text.size() - 1);
  CHECK(a.text.size() < 600);
  CHECK(a.agent.find_first_of("\r\n") == std::string::npos);
  CHECK(a.agent.size() < 200);
}
