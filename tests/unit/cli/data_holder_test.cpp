// Who holds a lock, as /proc/locks has it.
#include "cli/data_holder.hpp"

#include <catch2/catch.hpp>

using hasup::cli::flock_holders;

TEST_CASE("who holds a flock on a file is told from who waits, and from other locks and files", "[holder]") {
  const char* locks =
      "1: FLOCK  ADVISORY  READ  4711 fe:01:131073 0 EOF\n"
      "1: -> FLOCK  ADVISORY  WRITE 99 fe:01:131073 0 EOF\n"
      "2: POSIX  ADVISORY  WRITE 50 fe:01:131073 0 EOF\n"
      "3: FLOCK  ADVISORY  WRITE 51 fe:01:131074 0 EOF\n"
      "4: FLOCK  ADVISORY  WRITE 52 00:01:131073 0 EOF\n"
      "5: FLOCK  ADVISORY  READ  -1 fe:01:131073 0 EOF\n"
      "6: FLOCK  ADVISORY  READ  4712 fe:01:131073 0 EOF\n";
  CHECK(flock_holders(locks, 0xfe, 1, 131073) == std::vector<std::int32_t>{4711, 4712});
  CHECK(flock_holders(locks, 0xfe, 1, 1).empty());
  CHECK(flock_holders("", 0xfe, 1, 1).empty());
  CHECK(flock_holders("nonsense\n:\n", 0xfe, 1, 1).empty());
}
