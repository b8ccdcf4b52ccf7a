// The files of a nodeos data directory and the rules by which nodeos accepts or refuses them at a start.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "demo/node/nodeos_settings.hpp"
#include "demo/node/range_log.hpp"
#include "demo/node/state_database.hpp"

namespace hasup::demo {

class nodeos_chain {
 public:
  explicit nodeos_chain(const nodeos_settings& settings) : settings_(settings) {}

  // Opens, restores from the snapshot or begins a chain. What comes back is how nodeos ends instead; the database is
  // then as nodeos leaves it (a failed load leaves a state file behind).
  std::optional<node_end> open();

  [[nodiscard]] bool has_state() const;  // before open()
  [[nodiscard]] block head() const { return state_.head(); }
  [[nodiscard]] digest chain() const { return state_.chain(); }
  [[nodiscard]] std::uint32_t first_block() const { return blocks_.empty() ? head().number : blocks_.first(); }

  // The next block, at this time; or how nodeos ends of it.
  std::optional<node_end> produce(std::int64_t time_ms);

  // How nodeos ends before its database or its disk is full.
  [[nodiscard]] std::optional<node_end> check_space() const;

  // Writes snapshots/snapshot-<id>.bin; its absolute path.
  base::result<std::string> write_snapshot_of_head() const;

  // The orderly end: fork database written, dirty flag cleared.
  void close();

 private:
  std::optional<node_end> make_directories() const;
  std::optional<node_end> open_logs();
  std::optional<node_end> open_existing();
  std::optional<node_end> begin_chain();
  std::optional<node_end> begin_state(const digest& chain, block head, std::string_view content);
  std::optional<node_end> restore();
  std::optional<node_end> check_logs_against(block snapshot_head);
  std::optional<node_end> replay_blocks();
  std::optional<node_end> append_to_logs(block b);

  const nodeos_settings& settings_;
  state_database state_;
  range_log blocks_;
  range_log history_;
};

}  // namespace hasup::demo
