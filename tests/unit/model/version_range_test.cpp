// What a program says of its version, and the ranges that a recipe asks for.
#include "model/version_range.hpp"

#include <catch2/catch.hpp>

using namespace hasup::model;

namespace {

bool in(const std::string& range, const std::string& text) {
  const auto r = version_range::from(range);
  INFO(range << " and " << text);
  REQUIRE(r.has_value());
  const auto v = find_version(text);
  REQUIRE(v);
  return r->contains(*v);
}

std::vector<std::uint64_t> numbers(const std::string& text) {
  const auto v = find_version(text);
  return v ? v->numbers : std::vector<std::uint64_t>{};
}

using list = std::vector<std::uint64_t>;

}  // namespace

TEST_CASE("a version is found in what programs say of themselves", "[version]") {
  CHECK(numbers("5.0.2") == list{5, 0, 2});
  CHECK(numbers("v4.0.6-dirty") == list{4, 0, 6});
  CHECK(numbers("Geth/v1.13.5-stable-916d6a44/linux-amd64/go1.21.4") == list{1, 13, 5});
  CHECK(numbers("leap 5.0") == list{5, 0});
  CHECK(numbers("nodeos 5") == list{5});
  CHECK(numbers("build 77 of 3.1.4") == list{3, 1, 4});
  CHECK(numbers("1.2.3.4.5") == list{1, 2, 3, 4});
  CHECK_FALSE(find_version("unknown"));
  CHECK_FALSE(find_version(""));
  CHECK_FALSE(find_version("sha256"));
  CHECK_FALSE(find_version("99999999999999999999999999"));
}

TEST_CASE("a candidate comes before its release, any other suffix says nothing", "[version]") {
  CHECK(compare(*find_version("5.0.0-rc1"), *find_version("5.0.0")) < 0);
  CHECK(compare(*find_version("5.0.0-rc2"), *find_version("5.0.0-rc10")) < 0);
  CHECK(compare(*find_version("5.0.0-beta.2"), *find_version("5.0.0-rc1")) < 0);
  CHECK(compare(*find_version("5.0.0-RC1"), *find_version("5.0.0-rc1")) == 0);
  CHECK(compare(*find_version("5.0"), *find_version("5.0.0")) == 0);
  CHECK(compare(*find_version("v5.0.0-1a2b3c4"), *find_version("5.0.0")) == 0);
  CHECK(compare(*find_version("1.13.5-stable-916d6a44"), *find_version("1.13.5")) == 0);
  CHECK(compare(*find_version("5.10.0"), *find_version("5.9.9")) > 0);
}

TEST_CASE("conditions are held against a version together, alternatives each by itself", "[version]") {
  CHECK(in(">=5.0", "5.0.0"));
  CHECK(in(">=5.0", "v6.1.0"));
  CHECK_FALSE(in(">=5.0", "4.0.6"));
  CHECK_FALSE(in(">=5.0", "5.0.0-rc1"));
  CHECK(in(">= 5.0, < 6", "5.9"));
  CHECK_FALSE(in(">=5.0 <6", "6.0.0"));
  CHECK_FALSE(in(">=5.0 <6", "6.0.0-rc1"));
  CHECK(in("<=5.0.2", "5.0.2"));
  CHECK_FALSE(in(">5.0.2", "5.0.2"));
  CHECK(in("^4 || ^5.1", "4.0.6"));
  CHECK(in("^4 || ^5.1", "5.2"));
  CHECK_FALSE(in("^4 || ^5.1", "5.0.9"));
  CHECK(in("*", "0.0.1"));
}

TEST_CASE("caret, tilde and a bare version", "[version]") {
  CHECK(in("^1.2", "1.9.9"));
  CHECK_FALSE(in("^1.2", "1.1.9"));
  CHECK_FALSE(in("^1.2", "2.0.0"));
  CHECK(in("^0.3.1", "0.3.9"));
  CHECK_FALSE(in("^0.3.1", "0.4.0"));
  CHECK(in("~1.2.3", "1.2.9"));
  CHECK_FALSE(in("~1.2.3", "1.3.0"));
  CHECK(in("1.2", "1.2.7"));
  CHECK(in("1.2", "1.2.0-rc1"));
  CHECK(in("1.2.x", "1.2.7"));
  CHECK_FALSE(in("1.2", "1.3"));
  CHECK(in("=1.2.3", "1.2.3"));
  CHECK_FALSE(in("=1.2.3", "1.2.4"));
  CHECK(in("=5.0.0-rc1", "5.0.0-rc1"));
}

TEST_CASE("what is no range is refused in words", "[version]") {
  for (const char* text : {"", "  ", "||", ">=5.0 ||", ">=", "five", ">=5.0.q", "5.0 or 6", "1..2", "~*", "^1.x"}) {
    INFO(text);
    const auto r = version_range::from(text);
    REQUIRE_FALSE(r.has_value());
    CHECK(r.error().message.find("write \">=5.0\"") != std::string::npos);
  }
}
