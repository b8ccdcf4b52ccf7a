// What a restart may take over from the launch before it.
#include "daemon/launch.hpp"

#include <catch2/catch.hpp>

#include "show_result.hpp"
#include "unit/start/miner.hpp"

using namespace hasup;
using launch_test::miner;

TEST_CASE("only what nobody has to be asked for is prepared again without asking", "[launch]") {
  auto unit = miner();
  const auto first = daemon::prepare_launch(unit, nullptr);
  REQUIRE(first);
  REQUIRE(first->account.own);
  const auto again = daemon::launch_again(*first, unit, nullptr);
  REQUIRE(again);
  CHECK(again->env == first->env);
  CHECK(again->limits_missing.empty());

  unit.run.limit.pids = 10;
  CHECK(daemon::launch_again(*first, unit, nullptr)->limits_missing.size() == 1);

  auto asks = miner();
  asks.run.env_files = {"/etc/miner.env"};
  CHECK_FALSE(daemon::launch_again(*first, asks, nullptr));
  asks = miner();
  asks.run.user = "nobody";
  CHECK_FALSE(daemon::launch_again(*first, asks, nullptr));
  asks = miner();
  asks.run.groups = {"nogroup"};
  CHECK_FALSE(daemon::launch_again(*first, asks, nullptr));
  auto other = *first;  // the file named a user before
  other.account.own = false;
  other.secrets["MINER_KEY"] = "s3cret";
  CHECK_FALSE(daemon::launch_again(other, miner(), nullptr));
  other.account.own = true;
  CHECK(daemon::launch_again(other, miner(), nullptr)->secrets.empty());
}
