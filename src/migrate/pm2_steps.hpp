// How to go over from pm2 to hasup without two copies of a program at any moment: commands to copy, in order.
#pragma once

#include <string>
#include <vector>

#include "migrate/pm2_units.hpp"

namespace hasup::migrate {

struct switch_over {
  std::vector<imported_unit> units;  // that were written
  bool whole_list = true;            // pm2 has nothing else
  bool boots = false;                // pm2's start script was found
  std::string pm2_home;              // "" = the default of whoever runs pm2
  std::string pm2_owner;             // another user's pm2; "" = one's own
  std::string written_to;            // where the files are
  std::string units_directory;       // where hasupd reads them
  bool hasupd_runs = false;
  bool as_service = false;  // hasupd is a systemd service here
};

// With a full stop after each step's number; commands are indented by five blanks.
std::string switch_over_steps(const switch_over& s);

}  // namespace hasup::migrate
