// What is told of a unit whose state is not there, and what becomes of its start.
#include "unit/first_state.hpp"

#include <sys/sysmacros.h>

#include <catch2/catch.hpp>

using namespace hasup;
using model::bootstrap_mode;
using unit::state_seen;
using verdict = unit::prepared::verdict;

namespace {

struct judged {
  model::unit u;
  model::recipe recipe;
  bool ever_ran = false;

  judged() {
    u.id = {"redis", 0};
    u.instances = 1;
    u.data.dir = "/srv/redis";
    recipe.name = "redis";
  }
  [[nodiscard]] unit::prepared with(const state_seen& seen) const {
    return unit::judge_state(u, recipe, ever_ran, seen);
  }
};

const state_seen whole{true, false, {}};
const state_seen empty{true, true, {}};
const state_seen gone{false, true, {}};

}  // namespace

TEST_CASE("a state that is there is started on, whatever bootstrap says") {
  judged j;
  j.ever_ran = GENERATE(false, true);
  j.recipe.bootstrap = GENERATE(bootstrap_mode::recover, bootstrap_mode::empty, bootstrap_mode::hold);
  CHECK(j.with(whole).is == verdict::ready);
}

TEST_CASE("an empty or absent data directory is no state, also where the recipe lists nothing that must exist") {
  judged j;
  const auto seen = GENERATE(empty, gone);
  SECTION("bootstrap decides for a unit that never ran") {
    j.recipe.bootstrap = bootstrap_mode::hold;
    CHECK(j.with(seen).is == verdict::refused);
    j.recipe.bootstrap = bootstrap_mode::recover;
    CHECK(j.with(seen).is == verdict::needs_recovery);
    j.recipe.bootstrap = bootstrap_mode::empty;
    CHECK(j.with(seen).is == verdict::ready);
  }
  SECTION("and nothing but a recovery helps one that has run") {
    j.ever_ran = true;
    j.recipe.bootstrap = GENERATE(bootstrap_mode::recover, bootstrap_mode::empty, bootstrap_mode::hold);
    CHECK(j.with(seen).is == verdict::needs_recovery);
  }
}

TEST_CASE("where something else is there, what must exist has to be restored") {
  judged j;
  j.recipe.must_exist = {"dump.rdb"};
  j.recipe.bootstrap = GENERATE(bootstrap_mode::recover, bootstrap_mode::empty, bootstrap_mode::hold);
  const auto found = j.with({true, false, j.recipe.must_exist});
  CHECK(found.is == verdict::needs_recovery);
  CHECK(found.why == "/srv/redis has no dump.rdb: never started from nothing");
}

TEST_CASE("what is missing is named, and what a person can do about it") {
  judged j;
  CHECK(
      j.with(gone).why.starts_with("/srv/redis is not there: never started from nothing; for a first start put its "
                                   "state there, or restore it from an archive: `hasup recover redis --from FILE`"));
  CHECK(j.with(empty).why.starts_with("/srv/redis is empty: never started from nothing; "));
  CHECK(j.with(empty).why.ends_with("to begin with nothing: `hasup start redis --from-nothing`"));
  j.recipe.must_exist = {"a", "b"};
  CHECK(j.with({false, true, {"a", "b"}})
            .why.starts_with("/srv/redis has no a, b: never started from nothing; for a first start put a, b there"));
}

TEST_CASE("a directory is on another disk when its file system has another device") {
  const auto disk = gnu_dev_makedev(254, 0);
  const auto volume = gnu_dev_makedev(254, 16);
  const auto ram = gnu_dev_makedev(0, 40);
  CHECK(unit::on_another_disk(disk, volume));
  CHECK(unit::on_another_disk(disk, ram));
  CHECK(unit::on_another_disk(ram, volume));
  CHECK_FALSE(unit::on_another_disk(volume, volume));
  // A file system in memory has another number after each boot, and is empty then.
  CHECK_FALSE(unit::on_another_disk(gnu_dev_makedev(0, 41), ram));
  CHECK_FALSE(unit::on_another_disk(disk, 0));
  CHECK_FALSE(unit::on_another_disk(0, disk));
}

TEST_CASE("a volume that is missing is waited for, and a person is told the way without it") {
  model::unit u;
  u.id.unit = "leap";
  u.data.dir = "/data/leap";
  CHECK(unit::volume_missing(u) ==
        "/data/leap has nothing in it and is not on the file system that its data was on at its last start: waiting "
        "for "
        "its volume to be mounted; if that is gone for good, `hasup reset leap` lets it begin here with nothing");
  u.recovery.recipe = "nodeos";
  REQUIRE(u.has_recovery());
  CHECK(unit::volume_missing(u).ends_with("`hasup reset leap` lets it be restored here"));
}
