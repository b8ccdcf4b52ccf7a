// Who requires whom: start order, what a start pulls in, what a stop takes down, and a drawing. Works on names only.
#pragma once

#include <map>
#include <span>
#include <string>
#include <vector>

#include "base/result.hpp"

namespace hasup::graph {

struct requirement {
  std::string on;     // the required unit
  std::string label;  // for drawings: "healthy", "started, restart on loss"

  friend bool operator==(const requirement&, const requirement&) = default;
};

// Names that are required but not nodes are ignored everywhere but in drawings, where they are marked as missing.
struct dependency_graph {
  std::map<std::string, std::vector<requirement>> nodes;  // every unit, also those that require nothing
};

// Every unit after all that it requires; ties by name, so that the order is the same each time. A loop is an error
// that names it: "a -> b -> a".
base::result<std::vector<std::string>> start_order(const dependency_graph& g);

// The units, and all that they require directly or not, in start order. What is in a loop comes too, by name.
std::vector<std::string> with_requirements(const dependency_graph& g, std::span<const std::string> units);

// The units, and all that require them directly or not, in stop order (dependents first).
std::vector<std::string> with_dependents(const dependency_graph& g, std::span<const std::string> units);

// Those that require this unit directly, by name.
std::vector<std::string> direct_dependents(const dependency_graph& g, const std::string& unit);

// A tree for the terminal: units that nothing requires at the left margin, below each what it requires.
std::string render_text(const dependency_graph& g);
// Graphviz; arrows point from a unit to what it requires.
std::string render_dot(const dependency_graph& g);

}  // namespace hasup::graph
