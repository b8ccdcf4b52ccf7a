// The command of a pm2 process, as a unit runs it.
#pragma once

#include <string>
#include <vector>

#include "migrate/pm2_units.hpp"

namespace hasup::migrate {

struct unit_command {
  std::vector<std::string> argv;
  bool shell_line = false;   // ["bash", "-c", LINE]
  bool shell_stays = false;  // bash does not turn into the program, but waits for it
  std::string path;          // PATH that its programs need; "" = hasup's own is enough
  std::string missing;       // an interpreter that is not on this machine
};

unit_command command_of(const pm2_process& p, const pm2_surroundings& around);

// Does bash wait beside the programs of this line, so that a signal to bash does not reach them?
bool shell_stays_for(std::string_view line);

}  // namespace hasup::migrate
