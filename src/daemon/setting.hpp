// What a person sets for a unit over its file (`hasup scale`, `enable`, `disable`, `maintenance`), and how it goes
// with what the file says. Pure.
//
// It holds until it is taken back, or until the file says the same when it is read: who writes into the file what he
// set by hand means the file to count from then on.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "config/unit_file.hpp"
#include "control/status.hpp"

namespace hasup::daemon {

struct unit_setting {
  std::optional<bool> enabled;
  std::optional<unsigned> instances;
  bool maintenance = false;

  [[nodiscard]] bool empty() const { return !enabled && !instances && !maintenance; }
};

using unit_settings = std::map<std::string, unit_setting>;

// What holds over the unit's file. `file`: as it was read last.
std::vector<control::setting_by_hand> by_hand(const config::unit_entry& file, const unit_setting& set);

// Takes out what the file says as well. A broken file says nothing.
void settle(const config::unit_entry& file, unit_setting& set);
void settle(const std::map<std::string, config::unit_entry>& files, unit_settings& all);

// For `hasup apply`: one line for each setting that holds on, or that ends with this reading.
std::string settings_text(const std::map<std::string, config::unit_entry>& files, const unit_settings& all);

}  // namespace hasup::daemon
