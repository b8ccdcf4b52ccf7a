// hasup-demo-node: programs that behave as real blockchain nodes do, for `hasup demo` and for tests.
#include <csignal>
#include <functional>
#include <iostream>
#include <map>
#include <string>
#include <vector>

#include "demo/node/backup_host.hpp"
#include "demo/node/chain_maker.hpp"
#include "demo/node/evm_nodes.hpp"
#include "demo/node/nodeos_node.hpp"

int main(int argc, char** argv) {
  using mode = std::function<int(std::span<const std::string>)>;
  const std::map<std::string, mode> modes = {
      {"nodeos", hasup::demo::run_nodeos},           {"evm-node", hasup::demo::run_evm_node},
      {"evm-rpc", hasup::demo::run_evm_rpc},         {"miner", hasup::demo::run_miner},
      {"backup-host", hasup::demo::run_backup_host}, {"make-snapshot", hasup::demo::run_make_snapshot},
      {"make-chain", hasup::demo::run_make_chain},
  };
  const std::vector<std::string> words(argv + 1, argv + argc);
  const auto it = words.empty() ? modes.end() : modes.find(words.front());
  if (it == modes.end()) {
    std::cerr << "usage: hasup-demo-node MODE [OPTION…]\nmodes:";
    for (const auto& [name, run] : modes) std::cerr << ' ' << name;
    std::cerr << '\n';
    return 2;
  }
  return it->second(std::span(words).subspan(1));
}
