// What a recipe leaves open in the names of its archives: by it those of one moment know each other. Pure.
#pragma once

#include <string>

namespace hasup::snapshot {

// The glob as a regular expression (RE2), with a group for each stretch that it leaves open: each *, ? and […], those
// side by side as one.
std::string free_text_of_glob(const std::string& glob);

// Without .tar, .zst and the like: how a file is packed says nothing of what it belongs to.
void drop_endings(std::string& text);

}  // namespace hasup::snapshot
