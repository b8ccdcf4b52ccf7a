// Which blocks a nodeos's blocks.log holds: a few reads at its beginning and its end, however large it is.
//
// The format, as libraries/chain/block_log.cpp of AntelopeIO/spring (05ffa5d) and of AntelopeIO/leap write it, all
// numbers little endian:
//   u32 version (1 … 3; bit 31: pruned), from version 2 on u32 first block, then the genesis state or, from version 3
//   on and where the first block is above 1, the chain's id (32 bytes); from version 2 on u64 of all ones; then
//   each block and u64 its position; at the end of a pruned one, if it holds any, u32 how many blocks it still has.
// A block begins with u32 time, u64 producer, u16 confirmed and the id of the block before, whose first four bytes
// are that one's number, big endian.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/result.hpp"

namespace hasup::snapshot {

struct block_span {
  std::uint32_t first = 0;
  std::uint32_t last = 0;
  // Blocks below `first` are gone. Else they may be in the retained files of a log that is split (blocks-log-stride),
  // in whatever directory those are.
  bool pruned = false;

  friend bool operator==(const block_span&, const block_span&) = default;
};

// Nothing: there is no such file, or it holds no block: a node begins it anew. An error: what stands at its end is no
// block that fits the one before, as a node that was killed while it wrote leaves it; or it cannot be read.
base::result<std::optional<block_span>> read_block_log(const std::string& path);

}  // namespace hasup::snapshot
