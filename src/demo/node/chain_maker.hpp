// Makes what a demonstration or a test begins with: snapshot files, and data directories of a chain that has run.
#pragma once

#include <span>
#include <string>

namespace hasup::demo {

// `hasup-demo-node make-snapshot --out FILE --block N [--chain-id HEX] [--state-size BYTES]`: a valid snapshot file,
// and FILE.sha256 beside it.
int run_make_snapshot(std::span<const std::string> words);

// `hasup-demo-node make-chain --data-dir DIR --blocks N [--state-size BYTES] [--snapshot-at N … --snapshots DIR]`: a
// data directory as a nodeos that stopped at block N leaves it, and the snapshots that it made on its way, one a day.
int run_make_chain(std::span<const std::string> words);

}  // namespace hasup::demo
