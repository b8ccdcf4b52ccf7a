// Byte sizes as people write them.
#include "base/byte_size.hpp"

#include <catch2/catch.hpp>

#include "base/byte_rate.hpp"

using namespace hasup::base;

TEST_CASE("a size is a number with a binary or decimal unit") {
  const std::vector<std::pair<std::string, std::uint64_t>> good{
      {"0", 0},
      {"512", 512},
      {"1B", 1},
      {"64KiB", 65536},
      {"100MiB", 104857600},
      {"1.5GiB", 1610612736},
      {"2TiB", 1ULL << 41},
      {"200MB", 200'000'000},
      {"2TB", 2'000'000'000'000},
      {"64 KiB", 65536},
      {"1KB", 1000},
      {"3GB", 3'000'000'000},
  };
  for (const auto& [text, bytes] : good) {
    CAPTURE(text);
    REQUIRE(parse_byte_size(text).has_value());
    CHECK(*parse_byte_size(text) == bytes);
  }
}

TEST_CASE("what is no size is refused with an example") {
  for (const std::string text : {"", "-1", "x", "1kb", "1 KiBs", "1e30", "99999999TiB", "nan", "inf", "KiB"}) {
    CAPTURE(text);
    const auto s = parse_byte_size(text);
    REQUIRE(s.has_error());
    CHECK(s.error().message.find("\"64KiB\"") != std::string::npos);
  }
}

TEST_CASE("sizes are shown with a binary unit") {
  CHECK(format_byte_size(0) == "0B");
  CHECK(format_byte_size(1023) == "1023B");
  CHECK(format_byte_size(1536) == "1.5KiB");
  CHECK(format_byte_size(100ULL << 20) == "100MiB");
  CHECK(format_byte_size(5ULL << 40) == "5.0TiB");
}

TEST_CASE("a rate is a size a second, with or without the words for that") {
  CHECK(hasup::base::parse_byte_rate("20MiB/s").value() == 20U << 20);
  CHECK(hasup::base::parse_byte_rate("20MiB").value() == 20U << 20);
  CHECK_FALSE(hasup::base::parse_byte_rate("20MiB/m").has_value());
  CHECK_FALSE(hasup::base::parse_byte_rate("/s").has_value());
}
