// Who requires whom.
#include "graph/dependency_graph.hpp"

#include <catch2/catch.hpp>

using namespace hasup::graph;
using names = std::vector<std::string>;

namespace {

// The EVM deployment of one machine.
dependency_graph evm() {
  return {{{"leap", {}},
           {"evm-node", {{"leap", "healthy"}}},
           {"evm-rpc", {{"evm-node", "healthy"}}},
           {"miner", {{"leap", "healthy"}}},
           {"proxy", {{"evm-rpc", "healthy, restart on loss"}, {"miner", ""}}},
           {"other", {}}}};
}

}  // namespace

TEST_CASE("every unit starts after all that it requires, in the same order each time") {
  CHECK(*start_order(evm()) == names{"leap", "evm-node", "evm-rpc", "miner", "other", "proxy"});
  CHECK(start_order({})->empty());
}

TEST_CASE("a loop is an error that names it") {
  const dependency_graph g{{{"a", {{"b", ""}}}, {"b", {{"c", ""}}}, {"c", {{"a", ""}}}, {"d", {}}}};
  REQUIRE(start_order(g).has_error());
  CHECK(start_order(g).error().message == "requirements form a loop: a -> b -> c -> a");
  CHECK(start_order({{{"x", {{"x", ""}}}}}).error().message == "requirements form a loop: x -> x");
}

TEST_CASE("a start pulls in what is required, first things first") {
  CHECK(with_requirements(evm(), names{"evm-rpc"}) == names{"leap", "evm-node", "evm-rpc"});
  CHECK(with_requirements(evm(), names{"leap"}) == names{"leap"});
  CHECK(with_requirements(evm(), names{"proxy", "leap"}) == names{"leap", "evm-node", "evm-rpc", "miner", "proxy"});
  CHECK(with_requirements(evm(), names{"nobody"}).empty());
}

TEST_CASE("a stop takes down dependents first") {
  CHECK(with_dependents(evm(), names{"evm-node"}) == names{"proxy", "evm-rpc", "evm-node"});
  CHECK(with_dependents(evm(), names{"leap"}) == names{"proxy", "miner", "evm-rpc", "evm-node", "leap"});
  CHECK(direct_dependents(evm(), "leap") == names{"evm-node", "miner"});
}

TEST_CASE("units in a loop can still be stopped") {
  const dependency_graph g{{{"a", {{"b", ""}}}, {"b", {{"a", ""}}}, {"c", {{"a", ""}}}}};
  CHECK(with_dependents(g, names{"a"}) == names{"c", "a", "b"});
  CHECK(with_requirements(g, names{"c"}) == names{"a", "b", "c"});
}

TEST_CASE("requirements that are no units change no order") {
  const dependency_graph g{{{"a", {{"gone", "healthy"}}}, {"b", {{"a", ""}}}}};
  CHECK(*start_order(g) == names{"a", "b"});
  CHECK(with_requirements(g, names{"b"}) == names{"a", "b"});
}

TEST_CASE("a unit required twice counts once") {
  const dependency_graph g{{{"a", {}}, {"b", {{"a", ""}, {"a", ""}}}}};
  CHECK(*start_order(g) == names{"a", "b"});
}

TEST_CASE("the tree draws each unit's requirements once") {
  CHECK(render_text(evm()) ==
        "other\n"
        "proxy\n"
        "├── evm-rpc (healthy, restart on loss)\n"
        "│   └── evm-node (healthy)\n"
        "│       └── leap (healthy)\n"
        "└── miner\n"
        "    └── leap (healthy)\n");
  const dependency_graph shared{
      {{"base", {{"disk", ""}}}, {"disk", {}}, {"x", {{"base", ""}}}, {"y", {{"base", ""}}}}};
  CHECK(render_text(shared) ==
        "x\n"
        "└── base\n"
        "    └── disk\n"
        "y\n"
        "└── base …\n");
}

TEST_CASE("drawings show loops and missing units") {
  const dependency_graph g{{{"a", {{"b", ""}}}, {"b", {{"a", ""}, {"gone", "healthy"}}}}};
  CHECK(render_text(g) ==
        "a\n"
        "└── b\n"
        "    ├── a …\n"
        "    └── gone (healthy) [missing]\n");
  CHECK(render_dot(g) ==
        "digraph units {\n  rankdir=LR;\n  node [shape=box];\n"
        "  \"a\";\n  \"a\" -> \"b\";\n"
        "  \"b\";\n  \"b\" -> \"a\";\n  \"b\" -> \"gone\" [label=\"healthy\"];\n"
        "  \"gone\" [style=dashed];\n}\n");
}

TEST_CASE("a thousand units in a chain and in a fan are ordered") {
  dependency_graph g;
  g.nodes["unit-0000"] = {};
  std::string last = "unit-0000";
  for (int i = 1; i < 1000; ++i) {
    auto name = "unit-" + std::string(4 - std::to_string(i).size(), '0') + std::to_string(i);
    g.nodes[name] = {{last, "healthy"}, {"unit-0000", "started"}};
    last = name;
  }
  const auto order = *start_order(g);
  REQUIRE(order.size() == 1000);
  CHECK(order.front() == "unit-0000");
  CHECK(order.back() == "unit-0999");
  CHECK(with_dependents(g, names{"unit-0000"}).front() == "unit-0999");
}
