// Where the list of pm2's processes comes from: a file, ~/.pm2/dump.pm2, or the running pm2.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "migrate/pm2_list.hpp"

namespace hasup::cli {

struct pm2_source {
  std::vector<migrate::pm2_process> processes;
  std::string origin;  // for people
  std::string home;    // PM2_HOME of that pm2; "" = the usual one
  std::string owner;   // the user whose pm2 it is; "" = one's own
};

// `file`: "" = the dump, or the running pm2 when there is none; "-" = standard input.
base::result<pm2_source> read_pm2(const std::string& file, bool running);

// Is there a script that starts pm2 when the machine does?
bool pm2_starts_at_boot();

// The absolute path of an executable file in directories written as PATH is.
std::optional<std::string> find_program(const std::string& name, const std::string& path);

}  // namespace hasup::cli
