// What a unit runs and with which variables, secrets apart: they go to the env file.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "migrate/pm2_command.hpp"
#include "migrate/pm2_units.hpp"

namespace hasup::migrate {

// A text of the unit file, as TOML.
struct unit_value {
  std::string name;  // of a variable; "" = a word of the command
  std::string toml;
  bool secret = false;  // it could not be moved to the env file
};

struct unit_surface {
  std::vector<unit_value> command;
  std::vector<unit_value> variables;
  std::vector<std::pair<std::string, std::string>> env_file;
  std::vector<std::string> of_login, of_shell;  // variables left out
  std::vector<std::string> remarks;
};

// `instances` are the processes of one unit, in order.
unit_surface surface_of(const std::vector<const pm2_process*>& instances, const unit_command& command,
                        const pm2_surroundings& around);

}  // namespace hasup::migrate
