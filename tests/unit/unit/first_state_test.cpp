// What is told of a unit whose state is not there.
#include "unit/first_state.hpp"

#include <sys/sysmacros.h>

#include <catch2/catch.hpp>

using namespace hasup;

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
