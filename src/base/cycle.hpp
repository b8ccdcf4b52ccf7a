// Finds a loop among named things: units that require each other, variables, files that extend each other.
#pragma once

#include <map>
#include <string>
#include <vector>

namespace hasup::base {

using named_edges = std::map<std::string, std::vector<std::string>>;

// Every loop once, smallest name first and repeated at the end: {"a", "b", "a"}. Loops that share a node may be
// reported as one. Names without edges need not be keys. Deterministic; deep chains do not recurse.
std::vector<std::vector<std::string>> find_cycles(const named_edges& edges);

// "a -> b -> a"
std::string cycle_text(const std::vector<std::string>& cycle);

}  // namespace hasup::base
