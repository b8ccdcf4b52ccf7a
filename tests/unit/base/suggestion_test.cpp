// "Did you mean …?"
#include "base/suggestion.hpp"

#include <array>
#include <catch2/catch.hpp>

using namespace hasup::base;

TEST_CASE("the nearest word is found") {
  constexpr std::array<std::string_view, 6> words{"restart", "readiness", "run", "user", "command", "directory"};
  CHECK(nearest("restrat", words) == "restart");
  CHECK(nearest("readyness", words) == "readiness");
  CHECK(nearest("rum", words) == "run");
  CHECK(nearest("comand", words) == "command");
  CHECK(nearest("usre", words) == "user");
}

TEST_CASE("a word that is far from all has no suggestion") {
  constexpr std::array<std::string_view, 3> words{"restart", "run", "user"};
  CHECK(nearest("banana", words).empty());
  CHECK(nearest("x", words).empty());
  CHECK(nearest("", words).empty());
  CHECK(nearest("restart", {}).empty());
}

TEST_CASE("of equally near words the first wins") {
  constexpr std::array<std::string_view, 2> words{"cat", "car"};
  CHECK(nearest("cab", words) == "cat");
}
