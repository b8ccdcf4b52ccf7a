// The running stand-in nodeos: blocks at an interval, the chain and producer API, signals.
#pragma once

#include <span>
#include <string>

namespace hasup::demo {

// `hasup-demo-node nodeos …`; returns nodeos's exit code.
int run_nodeos(std::span<const std::string> words);

}  // namespace hasup::demo
