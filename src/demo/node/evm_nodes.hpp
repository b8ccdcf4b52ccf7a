// Stand-ins for eos-evm-node, eos-evm-rpc and eos-evm-miner.
#pragma once

#include <span>
#include <string>

namespace hasup::demo {

// Follows a leap node: `--leap URL --http HOST:PORT [--chain-data DIR] [--ship-max-retry N]`.
int run_evm_node(std::span<const std::string> words);

// Hands JSON-RPC on to the node behind it: `--evm-node URL --http HOST:PORT`.
int run_evm_rpc(std::span<const std::string> words);

// Caches the gas price of the rpc: `--rpc URL --http HOST:PORT`.
int run_miner(std::span<const std::string> words);

}  // namespace hasup::demo
