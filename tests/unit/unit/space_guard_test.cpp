#include "unit/space_guard.hpp"

#include <catch2/catch.hpp>

using namespace hasup;
using unit::space_guard;

namespace {

constexpr std::uint64_t gib = std::uint64_t{1} << 30U;

}  // namespace

TEST_CASE("without min_free nothing is too little") {
  space_guard g;
  const auto v = g.observe(0, 0, "/d");
  CHECK_FALSE(v.warn);
  CHECK_FALSE(v.stop);
}

TEST_CASE("a node is stopped below min_free, and every look says so") {
  space_guard g;
  CHECK_FALSE(g.observe(50 * gib, 50 * gib, "/d").stop);
  CHECK(g.observe(50 * gib - 1, 50 * gib, "/d").stop);
  const auto v = g.observe(3 * gib / 2, 50 * gib, "/d");
  REQUIRE(v.stop);
  CHECK(*v.stop == "only 1.5GiB free under /d, data.min_free is 50GiB: stopped before a full disk corrupts its data");
  CHECK_FALSE(v.warn);
  CHECK(g.observe(gib, 50 * gib, "/d").stop);
}

TEST_CASE("it warns once while it gets near, and again after there was clearly more") {
  space_guard g;
  CHECK_FALSE(g.observe(100 * gib, 40 * gib, "/d").warn);
  CHECK_FALSE(g.observe(50 * gib, 40 * gib, "/d").warn);
  CHECK(g.observe(49 * gib, 40 * gib, "/d").warn);
  CHECK_FALSE(g.observe(45 * gib, 40 * gib, "/d").warn);
  CHECK_FALSE(g.observe(55 * gib, 40 * gib, "/d").warn);
  CHECK_FALSE(g.observe(49 * gib, 40 * gib, "/d").warn);
  CHECK_FALSE(g.observe(60 * gib, 40 * gib, "/d").warn);
  CHECK(g.observe(49 * gib, 40 * gib, "/d").warn);
  g.reset();
  CHECK(g.observe(49 * gib, 40 * gib, "/d").warn);
}

TEST_CASE("every directory of the data is watched") {
  CHECK(unit::watched_dirs({}).empty());
  model::data_dirs data;
  data.dir = "/d";
  data.also = {"/blocks", "/history"};
  CHECK(unit::watched_dirs(data) == std::vector<std::string>{"/d", "/blocks", "/history"});
  data.mounts = {"/", "/d", "/data", "/d/state"};
  CHECK(unit::watched_dirs(data) == std::vector<std::string>{"/d", "/blocks", "/history", "/d/state"});
}

TEST_CASE("after a stop for want of space a tenth more is needed") {
  CHECK(unit::space_to_start(50 * gib, false) == 50 * gib);
  CHECK(unit::space_to_start(50 * gib, true) == 55 * gib);
}

TEST_CASE("the nearer to the limit, the sooner the next look") {
  using std::chrono::seconds;
  CHECK(unit::next_look(500 * gib, 50 * gib) == seconds(30));
  CHECK(unit::next_look(70 * gib, 50 * gib) == seconds(10));
  CHECK(unit::next_look(51 * gib, 50 * gib) == seconds(1));
  CHECK(unit::next_look(gib, 50 * gib) == seconds(1));
  CHECK(unit::next_look(~std::uint64_t{0}, 1) == seconds(30));
}

TEST_CASE("full is a disk that has no room for what a database writes at a time, or for another file") {
  const auto mib = gib >> 10U;
  CHECK(unit::is_full({0, 1000 * gib, 100, 1000}));
  CHECK(unit::is_full({16 * mib, 1000 * gib, 100, 1000}));
  CHECK_FALSE(unit::is_full({17 * mib, 1000 * gib, 100, 1000}));
  // Of a small one not so much.
  CHECK(unit::is_full({40 * mib / 100, 40 * mib, 100, 1000}));
  CHECK_FALSE(unit::is_full({mib, 40 * mib, 100, 1000}));
  CHECK(unit::is_full({900 * gib, 1000 * gib, 0, 1000}));
  CHECK_FALSE(unit::is_full({900 * gib, 1000 * gib, 0, 0}));  // btrfs counts no files
}
