// What max_rate allows.
#include "snapshot/pace.hpp"

#include <catch2/catch.hpp>

using namespace hasup::snapshot;
using namespace std::chrono_literals;

TEST_CASE("over any time no more than the rate and one burst passes", "[pace]") {
  const auto start = pace::time(1h);
  auto now = start;
  pace p(1'000'000);
  std::uint64_t passed = 0;
  for (int i = 0; i < 1000; ++i) {
    const auto wait = p.owed(now);
    now += wait;
    p.add(50'000, now);
    passed += 50'000;
    if (i % 100 == 50) now += 3s;  // a pause is not made up for
  }
  const auto spent = std::chrono::duration<double>(now - start - 30s).count();
  CHECK(static_cast<double>(passed) <= 1'000'000 * (spent + 0.15 * 11));
  CHECK(static_cast<double>(passed) >= 1'000'000 * (spent - 1));
}

TEST_CASE("without a rate nothing waits", "[pace]") {
  pace p;
  p.add(UINT64_MAX, pace::time(1h));
  CHECK(p.owed(pace::time(1h)) == 0ms);
  CHECK(p.buffer_size(4) == 512 << 10);
}

TEST_CASE("slow downloads take small bites", "[pace]") {
  CHECK(pace(16 << 10).buffer_size(4) == 16 << 10);
  CHECK(pace(4 << 20).buffer_size(4) == 128 << 10);
  CHECK(pace(1ULL << 40).buffer_size(1) == 512 << 10);
}
