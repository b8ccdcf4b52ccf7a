// How journal records lie in a file, and how a torn tail is told from damage. Pure.
//
//   hasup journal 1\n
//   LENGTH CRC32\n PAYLOAD\n         decimal, 8 hex digits over "LENGTH " and the payload; repeated
//
// Whatever a crash leaves behind a last whole record is a torn tail and is cut off. A bad record that is followed by
// a whole one is no torn tail but damage: an error, since the records behind it would be lost.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"

namespace hasup::journal {

inline constexpr std::string_view journal_header = "hasup journal 1\n";
inline constexpr std::size_t longest_record = 16U << 20;

std::string frame(std::string_view payload);

struct journal_contents {
  std::vector<std::string> records;
  std::size_t good_size = 0;  // up to here the file is whole; 0: not even the header is
};

base::result<journal_contents> parse_journal(std::string_view text);

}  // namespace hasup::journal
