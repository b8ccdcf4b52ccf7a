// What a file system that folds names may take a file name for (ext4's and f2fs's casefold, shares of other systems):
// there ".HASUP", ".ha\u017fup" and ".has\u200dup" all open ".hasup". Pure.
#pragma once

#include <string>
#include <string_view>

namespace hasup::base {

// Two names that such a file system takes for one, and of which one is ASCII, give the same text. Capitals become
// small; what Unicode folds into ASCII is that; every other byte that is not ASCII goes, because some of them are
// ignored there and which ones is another table in each version of Unicode. So a few names that no file system mixes
// up give the same text too: "k\u00e9y" and "ky".
std::string folded_name(std::string_view name);

}  // namespace hasup::base
