// Loops among named things.
#include "base/cycle.hpp"

#include <catch2/catch.hpp>

using namespace hasup::base;
using loops = std::vector<std::vector<std::string>>;

TEST_CASE("a loop is named from its smallest member") {
  CHECK(find_cycles({{"c", {"a"}}, {"a", {"b"}}, {"b", {"c"}}}) == loops{{"a", "b", "c", "a"}});
  CHECK(find_cycles({{"x", {"x"}}}) == loops{{"x", "x"}});
  CHECK(cycle_text({"a", "b", "a"}) == "a -> b -> a");
}

TEST_CASE("every separate loop is found once") {
  const auto found = find_cycles({{"a", {"b"}}, {"b", {"a"}}, {"p", {"q", "a"}}, {"q", {"p"}}});
  CHECK(found == loops{{"a", "b", "a"}, {"p", "q", "p"}});
}

TEST_CASE("what has no loop has none") {
  CHECK(find_cycles({}).empty());
  CHECK(find_cycles({{"a", {"b", "c"}}, {"b", {"d"}}, {"c", {"d"}}}).empty());
}

TEST_CASE("a very long chain does not overflow the stack") {
  named_edges edges;
  for (int i = 0; i < 200'000; ++i) edges[std::to_string(i)] = {std::to_string(i + 1)};
  CHECK(find_cycles(edges).empty());
  edges["200000"] = {"0"};
  CHECK(find_cycles(edges).size() == 1);
}
