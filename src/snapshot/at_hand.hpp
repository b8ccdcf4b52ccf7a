// The files of a node that a recipe's `at_hand` names. Who calls it may only list directories, or everything.
#pragma once

#include <string>
#include <vector>

namespace hasup::snapshot {

// Files below `root` that fit one of the globs, each path once, in the order of the globs: relative, reached without
// a link, neither of `keep` nor below it nor in .hasup. What cannot be listed holds none.
std::vector<std::string> files_at_hand(int root, const std::vector<std::string>& globs,
                                       const std::vector<std::string>& keep);

}  // namespace hasup::snapshot
