// Which bytes are there, and which are asked for next.
#include "snapshot/byte_spans.hpp"

#include <catch2/catch.hpp>
#include <random>
#include <vector>

using namespace hasup::snapshot;

TEST_CASE("spans that touch or overlap become one", "[spans]") {
  byte_spans s;
  s.add({10, 20});
  s.add({30, 40});
  s.add({5, 5});
  CHECK(s.all().size() == 2);
  CHECK(s.prefix() == 0);
  s.add({0, 10});
  CHECK(s.prefix() == 20);
  s.add({15, 35});
  CHECK(s.all().size() == 1);
  CHECK(s.prefix() == 40);
  CHECK(s.bytes() == 40);
  s.add({3, 7});
  CHECK(s.bytes() == 40);
  CHECK(s.end() == 40);
}

TEST_CASE("gaps are asked for from the start on, in pieces that stand at fixed places", "[spans]") {
  byte_spans have;
  byte_spans asked;
  CHECK(next_gap(have, asked, 250, 100) == byte_span{0, 100});
  asked.add({0, 100});
  CHECK(next_gap(have, asked, 250, 100) == byte_span{100, 200});
  asked.add({100, 200});
  CHECK(next_gap(have, asked, 250, 100) == byte_span{200, 250});
  asked.add({200, 250});
  CHECK_FALSE(next_gap(have, asked, 250, 100));
  asked.clear();
  have.add({0, 130});
  CHECK(next_gap(have, asked, 250, 100) == byte_span{130, 200});
  have.add({140, 150});
  CHECK(next_gap(have, asked, 250, 100) == byte_span{130, 140});
  CHECK(next_gap(have, asked, 250, UINT64_MAX / 2) == byte_span{130, 140});
  asked.add({130, 140});
  CHECK(next_gap(have, asked, 250, UINT64_MAX / 2) == byte_span{150, 250});
  CHECK_FALSE(next_gap(have, asked, 0, 100));
}

TEST_CASE("what lies between two gaps is asked for once more where it is small", "[spans]") {
  byte_spans have;
  have.add({0, 10});
  have.add({20, 25});
  have.add({30, 50});
  CHECK(next_gap(have, {}, 100, 1000) == byte_span{10, 20});
  CHECK(next_gap(have, {}, 100, 1000, 5) == byte_span{10, 20});
  CHECK(next_gap(have, {}, 100, 1000, 6) == byte_span{10, 30});
  CHECK(next_gap(have, {}, 100, 1000, 21) == byte_span{10, 100});
  CHECK(next_gap(have, {}, 100, 40, 21) == byte_span{10, 30});   // 30 to 40 is here: nothing follows in this piece
  CHECK(next_gap(have, {}, 50, 1000, 21) == byte_span{10, 30});  // nor what ends the file
  byte_spans asked;
  asked.add({22, 24});
  CHECK(next_gap(have, asked, 100, 1000, 21) == byte_span{10, 20});
  asked.add({10, 30});
  CHECK(next_gap(have, asked, 100, 1000, 21) == byte_span{50, 100});
}

TEST_CASE("a span says what it covers", "[spans]") {
  byte_spans s;
  s.add({10, 20});
  s.add({30, 40});
  CHECK(s.covers({10, 20}));
  CHECK(s.covers({12, 13}));
  CHECK(s.covers({25, 25}));
  CHECK_FALSE(s.covers({9, 11}));
  CHECK_FALSE(s.covers({15, 35}));
  CHECK_FALSE(s.covers({20, 21}));
  CHECK(s.next_after(10) == 30);
  CHECK(s.next_after(0) == 10);
  CHECK_FALSE(s.next_after(30));
  CHECK(s.bytes() == 20);
  s.clear();
  CHECK(s.bytes() == 0);
}

TEST_CASE("spans and gaps agree with a list of single bytes", "[spans]") {
  std::minstd_rand random(7);
  for (int round = 0; round < 200; ++round) {
    const std::uint64_t total = 1 + random() % 300;
    const std::uint64_t piece = 1 + random() % 50;
    std::vector<bool> bytes(total);
    byte_spans have;
    byte_spans asked;
    while (const auto gap = next_gap(have, asked, total, piece)) {
      REQUIRE(gap->first < gap->end);
      REQUIRE(gap->end <= total);
      REQUIRE(gap->first / piece == (gap->end - 1) / piece);
      for (auto i = gap->first; i < gap->end; ++i) REQUIRE_FALSE(bytes[i]);
      const auto end = gap->first + 1 + random() % gap->size();  // some break off early
      for (auto i = gap->first; i < end; ++i) bytes[i] = true;
      (random() % 2 == 0 ? have : asked).add({gap->first, end});
    }
    std::uint64_t there = have.bytes() + asked.bytes();
    REQUIRE(there == total);
    for (const bool b : bytes) REQUIRE(b);
  }
}
