// Which process `start --adopt` takes over, and which it leaves alone.
#include "daemon/outsider.hpp"

#include <catch2/catch.hpp>

#include "show_result.hpp"

using namespace hasup;
using Catch::Matchers::Contains;
using daemon::outsider;

namespace {

ports::writer_info writer(std::int32_t pid, std::vector<std::int32_t> ancestors = {1}) {
  ports::writer_info w;
  w.pid = pid;
  w.command = "nodeos --data-dir /d";
  w.path = "/d/state/shared_memory.bin";
  w.start_time = 1000 + static_cast<std::uint64_t>(pid);
  w.uid = 33;
  w.ancestors = std::move(ancestors);
  return w;
}

base::result<outsider> choose(const std::vector<ports::writer_info>& writers) {
  model::unit u;
  u.id.unit = "leap";
  u.data.dir = "/d";
  process::account as;
  as.uid = 33;
  as.name = "leap";
  return daemon::choose_outsider(writers, u, as);
}

std::string refusal(const std::vector<ports::writer_info>& writers) {
  const auto chosen = choose(writers);
  REQUIRE_FALSE(chosen);
  return chosen.error().message;
}

}  // namespace

TEST_CASE("the one process that has the data open is taken over, known by its start time", "[outsider]") {
  const auto chosen = choose({writer(70)});
  REQUIRE(chosen);
  CHECK(*chosen == outsider{70, 1070, "nodeos --data-dir /d"});
}

TEST_CASE("of a tree the process that the others descend from is taken over", "[outsider]") {
  const auto chosen = choose({writer(90, {80, 70, 1}), writer(70), writer(80, {70, 1})});
  REQUIRE(chosen);
  CHECK(chosen->pid == 70);
}

TEST_CASE("what cannot be taken over is refused with what to do", "[outsider]") {
  CHECK_THAT(refusal({}), Contains("no process has /d open") && Contains("`hasup start leap` starts it"));
  CHECK_THAT(refusal({writer(70), writer(71)}),
             Contains("not one tree") && Contains("pid 70 (nodeos") && Contains("pid 71 (nodeos"));
  auto under = writer(70);
  under.tree = "/var/lib/hasup leap@0";
  CHECK_THAT(refusal({under}), Contains("runs under a hasup already") && Contains("leap@0"));
  auto child = writer(71, {70, 1});
  child.tree = "/var/lib/hasup leap@0";
  CHECK_THAT(refusal({writer(70), child}), Contains("pid 71"));
  auto foreign = writer(70);
  foreign.uid = 0;
  CHECK_THAT(refusal({foreign}), Contains("runs as user 0 and leap as 33 (user leap)"));
  ports::writer_info unseen;
  unseen.uid = 33;
  CHECK_THAT(refusal({unseen}), Contains("cannot be seen from here"));
}
