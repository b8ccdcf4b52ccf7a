// pm2's processes -> unit files: one a group of processes of one name. Pure: what depends on the machine comes with
// pm2_surroundings.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "migrate/pm2_list.hpp"

namespace hasup::migrate {

struct pm2_surroundings {
  std::map<std::string, std::string> shell;  // the environment of this program
  std::string user;                          // who runs it, and so whose units these will be
  bool root = false;                         // units may name another user
  std::string directory;                     // where the files go, absolute
  std::string default_stop_timeout;          // "10m"
  // Does hasup know this key of unit files, and does it work already?
  std::function<bool(std::string_view key)> accepts;
  // The absolute path of a program in directories written as PATH is.
  std::function<std::optional<std::string>(const std::string& name, const std::string& path)> find_program;
};

struct imported_unit {
  std::string name;
  std::string pm2_name;
  unsigned instances = 1;
  bool enabled = true;
  std::string text;                        // of NAME.toml
  std::string env_text;                    // of NAME.env; "" = no secrets
  bool is_secret = false;                  // NAME.toml itself holds what nobody else should read
  std::string shown_text, shown_env_text;  // the same without the secrets
  std::vector<std::string> remarks;        // what a person should know before it runs
  std::int64_t kill_timeout = 1600;        // pm2's, in ms
};

struct pm2_import {
  std::vector<imported_unit> units;
  std::vector<std::string> remarks;  // about what became no unit, and about names
};

pm2_import import_pm2(const std::vector<pm2_process>& processes, const pm2_surroundings& around);

// "Shop API" -> "shop-api".
std::string unit_name_for(std::string_view pm2_name);

}  // namespace hasup::migrate
