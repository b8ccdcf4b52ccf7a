// What the stand-in nodeos was asked to do: its command line and config.ini, checked as nodeos checks them.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "demo/node/arguments.hpp"
#include "demo/node/chain_types.hpp"

namespace hasup::demo {

// How nodeos ends when it does not go on: the line that it logs and its exit code.
struct node_end {
  int code = 0;
  std::string message;
};

struct nodeos_settings {
  std::string data_dir;
  std::optional<host_port> http;
  std::optional<host_port> p2p;
  std::optional<host_port> history;  // state_history_plugin; none = no state-history logs
  std::string snapshot;              // path, "" = none
  bool delete_all_blocks = false;
  std::chrono::milliseconds block_interval{500};
  std::uint64_t database_mb = 1024;
  std::uint64_t guard_mb = 128;             // nodeos quits when less than this of the database is left
  std::optional<unsigned> space_threshold;  // percent of the file system; it quits above that. none = does not look
  bool chain_plugin = true;                 // named in the configuration, or none is
  bool locked = false;                      // database-map-mode
  bool heap = false;                        // database-map-mode
  std::chrono::milliseconds load_time{0};   // of an existing database, before anything else happens
  std::uint64_t state_growth = 0;           // bytes a block; makes the state file as large as the database may become
  std::uint64_t stuck_at = 0;               // a block after which it finds no further one; 0 = none
  digest chain{};                           // of a chain that begins here
  std::size_t content_size = 0;             // of its state

  [[nodiscard]] std::string state_file() const { return data_dir + "/state/shared_memory.bin"; }
  [[nodiscard]] std::string blocks_log() const { return data_dir + "/blocks/blocks.log"; }
  [[nodiscard]] std::string fork_database() const { return data_dir + "/blocks/reversible/fork_db.dat"; }
  [[nodiscard]] std::string history_log() const { return data_dir + "/state-history/trace_history.log"; }
  [[nodiscard]] std::string snapshots_dir() const { return data_dir + "/snapshots"; }
};

// The chain that the stand-in runs when nothing else is said.
digest default_chain();

// nodeos_settings or the way in which nodeos refuses such options.
boost::system::result<nodeos_settings, node_end> read_nodeos_settings(std::span<const std::string> words);

}  // namespace hasup::demo
