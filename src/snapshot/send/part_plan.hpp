// How an archive of unknown length is cut into pieces that are sent one by one. Pure.
#pragma once

#include <cstdint>

namespace hasup::snapshot {

// Of piece `number`, from 1. S3 takes 10,000 pieces of 5 MiB or more (but the last) and 5 TiB in all: small ones at
// first, so that a broken connection costs little, larger ones as the archive grows. One piece is kept in memory.
constexpr std::uint64_t piece_size(unsigned number) {
  const unsigned doublings = (number - 1) / 1000;
  return std::uint64_t{16U << 20U} << (doublings < 5 ? doublings : 5);
}
inline constexpr unsigned most_pieces = 10'000;

}  // namespace hasup::snapshot
