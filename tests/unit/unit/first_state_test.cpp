#include "unit/first_state.hpp"

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
  CHECK(j.with(empty).why.find("set bootstrap = \"empty\" under [recovery.params], where recipe redis has the "
                               "parameter") != std::string::npos);
  j.recipe.must_exist = {"a", "b"};
  CHECK(j.with({false, true, {"a", "b"}})
            .why.starts_with("/srv/redis has no a, b: never started from nothing; for a first start put a, b there"));
}
