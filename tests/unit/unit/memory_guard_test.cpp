// When memory has been too much for long enough.
#include "unit/memory_guard.hpp"

#include <catch2/catch.hpp>

using namespace hasup;
using namespace hasup::unit;
using namespace std::chrono_literals;

namespace {
constexpr std::uint64_t gib = 1ULL << 30;
constexpr base::mono_time begin{};
}  // namespace

TEST_CASE("memory above the limit for 30 seconds without a break is a reason, and names both numbers") {
  memory_guard g;
  for (auto t = 0s; t < 30s; t += 5s) CHECK_FALSE(g.observe(61 * gib, 60 * gib, begin + t));
  CHECK(g.observe(61 * gib, 60 * gib, begin + 30s) ==
        "uses 61GiB of anonymous and shared memory, memory_restart is 60GiB");
  // Said once; the next run gets its own 30 seconds.
  CHECK_FALSE(g.observe(61 * gib, 60 * gib, begin + 35s));
}

TEST_CASE("a peak is no leak: one sample at or below the limit begins the 30 seconds anew") {
  memory_guard g;
  CHECK_FALSE(g.observe(61 * gib, 60 * gib, begin));
  CHECK_FALSE(g.observe(60 * gib, 60 * gib, begin + 25s));
  CHECK_FALSE(g.observe(61 * gib, 60 * gib, begin + 30s));
  CHECK_FALSE(g.observe(61 * gib, 60 * gib, begin + 59s));
  CHECK(g.observe(61 * gib, 60 * gib, begin + 60s));
}

TEST_CASE("another run and a lifted limit forget what was") {
  memory_guard g;
  CHECK_FALSE(g.observe(61 * gib, 60 * gib, begin));
  g.reset();
  CHECK_FALSE(g.observe(61 * gib, 60 * gib, begin + 30s));
  CHECK_FALSE(g.observe(61 * gib, 0, begin + 60s));
  CHECK_FALSE(g.observe(61 * gib, 60 * gib, begin + 61s));
}
