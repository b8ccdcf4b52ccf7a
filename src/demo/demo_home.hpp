// The temporary HASUP_HOME of a demonstration: ports, unit files, the chain of leap and a backup host's directory.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.hpp"

namespace hasup::demo {

struct demo_home {
  std::string path;         // HASUP_HOME
  std::string program_dir;  // of hasupd and hasup-demo-node
  std::uint16_t leap_port = 0;
  std::uint16_t evm_node_port = 0;
  std::uint16_t evm_rpc_port = 0;
  std::uint16_t miner_port = 0;  // and the next one
  std::uint16_t backup_port = 0;
  std::vector<std::string> snapshots;  // file names, oldest first; the newest one is damaged

  [[nodiscard]] std::string backup_dir() const { return path + "/backup-host"; }
  [[nodiscard]] std::string leap_data() const { return path + "/leap"; }
  [[nodiscard]] std::string demo_node() const { return program_dir + "/hasup-demo-node"; }
  [[nodiscard]] const std::string& damaged() const { return snapshots.back(); }
};

// Creates all of it. When it fails half way, what it created is gone again.
base::result<demo_home> make_demo_home();

void remove_demo_home(const demo_home& home);

}  // namespace hasup::demo
