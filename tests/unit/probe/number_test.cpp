// Decimals of any length.
#include "probe/number.hpp"

#include <catch2/catch.hpp>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

using hasup::probe::decimal;

TEST_CASE("numbers are read as JSON, decimal strings and hex") {
  struct row {
    std::string text, canonical;
  };
  const std::vector<row> rows{{"0", "0"},
                              {"-0", "0"},
                              {"000", "0"},
                              {"0.000", "0"},
                              {"007", "7"},
                              {"+7", "7"},
                              {"-12.50", "-12.5"},
                              {"1e3", "1000"},
                              {"1.5E+2", "150"},
                              {"25e-1", "2.5"},
                              {"0.001", "0.001"},
                              {"0x0", "0"},
                              {"0x1f", "31"},
                              {"0XFF", "255"},
                              {"0x3b9aca00", "1000000000"},
                              {"0xffffffffffffffff", "18446744073709551615"},
                              {"0x10000000000000000", "18446744073709551616"},
                              {"0xde0b6b3a7640000", "1000000000000000000"},
                              {"340282366920938463463374607431768211456", "340282366920938463463374607431768211456"}};
  for (const auto& r : rows) {
    INFO(r.text);
    const auto d = decimal::parse(r.text);
    REQUIRE(d);
    CHECK(d->text() == r.canonical);
  }
}

TEST_CASE("what is no number is not read as one") {
  for (const char* text : {"",     "-",   "+",  ".",  "1.",  ".5",   "1e",  "1e+", "0x",
                           "0xg",  "12a", " 1", "1 ", "--1", "1e5x", "NaN", "inf", "1e99999999999999999999",
                           "0x-1", "-0x1"}) {
    INFO(text);
    CHECK_FALSE(decimal::parse(text));
  }
  CHECK(decimal::parse("0x" + std::string(256, 'f')));
  CHECK_FALSE(decimal::parse("0x" + std::string(257, 'f')));
}

TEST_CASE("numbers are ordered by value whatever their length and form") {
  const std::vector<std::string> rising{"-1e400",
                                        "-18446744073709551616",
                                        "-2",
                                        "-1.5",
                                        "-1e-400",
                                        "0",
                                        "1e-400",
                                        "0.5",
                                        "1",
                                        "1.0000000000000000000000000000001",
                                        "0x2",
                                        "9",
                                        "10",
                                        "18446744073709551615",
                                        "18446744073709551616",
                                        "1" + std::string(300, '0'),
                                        "1" + std::string(299, '0') + "1",
                                        "1e2147483647"};
  for (std::size_t i = 0; i < rising.size(); ++i) {
    for (std::size_t j = 0; j < rising.size(); ++j) {
      INFO(rising[i] << " " << rising[j]);
      CHECK((*decimal::parse(rising[i]) <=> *decimal::parse(rising[j])) == (i <=> j));
    }
  }
  CHECK(*decimal::parse("1e3") == *decimal::parse("0x3e8"));
}

TEST_CASE("a block number is exact or none") {
  const auto u = [](const char* text) { return decimal::parse(text)->to_uint64(); };
  CHECK(u("0") == 0U);
  CHECK(u("387721720") == 387721720U);
  CHECK(u("18446744073709551615") == std::numeric_limits<std::uint64_t>::max());
  CHECK_FALSE(u("18446744073709551616"));
  CHECK_FALSE(u("-1"));
  CHECK_FALSE(u("1.5"));
  CHECK_FALSE(u("1e2147483647"));
}

TEST_CASE("as a double it is rounded, or infinite") {
  CHECK(decimal::parse("1790000000.25")->to_double() == 1790000000.25);
  CHECK(std::isinf(decimal::parse("1e2147483647")->to_double()));
  CHECK(decimal::parse("1e-2147483647")->to_double() == 0.0);
  CHECK(decimal::parse("-0x0") == std::nullopt);
  CHECK(decimal::parse("1e2147483647")->text().empty());
}
