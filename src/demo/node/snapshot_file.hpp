// nodeos's binary snapshot: u32 0x30510550, u32 1, sections {u64 size, u64 rows, name\0, data}, end u64 of all ones.
// There is no checksum inside: a flipped byte in the data loads; only the structure is validated.
#pragma once

#include <string>

#include "base/result.hpp"
#include "demo/node/chain_types.hpp"

namespace hasup::demo {

struct snapshot_data {
  digest chain{};
  block head;
  std::string content;  // stands for accounts, tables, everything else
};

// Written under a name that begins with .incomplete-, then renamed.
base::result<void> write_snapshot(const std::string& path, const snapshot_data& data);

// An error means what nodeos calls "Binary snapshot validation threw IO exception".
base::result<snapshot_data> read_snapshot(const std::string& path);

// Content that no compressor shortens, the same for the same head.
std::string filler(const digest& chain, std::uint32_t number, std::size_t size);

}  // namespace hasup::demo
