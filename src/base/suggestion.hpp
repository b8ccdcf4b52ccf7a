// "Did you mean …?": the known word nearest to what was written.
#pragma once

#include <span>
#include <string_view>

namespace hasup::base {

// The candidate with the smallest edit distance (transpositions count as one) that is at most a third of the word's
// length and at least one; empty when none is near. Ties: the first.
std::string_view nearest(std::string_view word, std::span<const std::string_view> candidates);

}  // namespace hasup::base
