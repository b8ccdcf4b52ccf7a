// What pm2 remembers of its processes: dump.pm2 (an array of pm2_env objects) and the output of `pm2 jlist` (an array
// of objects that hold one each).
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.hpp"

namespace hasup::migrate {

// One process. Times are milliseconds, as in pm2; what pm2 does not say is empty.
struct pm2_process {
  std::string name;
  std::string name_space;
  std::int64_t instance = 0;  // NODE_APP_INSTANCE
  bool module = false;        // pm2's own, such as pm2-logrotate

  std::string script;       // absolute
  std::string interpreter;  // "node", "none" = the script itself is run, a path …
  std::vector<std::string> interpreter_arguments;
  std::vector<std::string> arguments;
  std::string directory;
  bool cluster = false;

  std::string username;                                  // who ran `pm2 start`
  std::string uid, gid;                                  // only where somebody asked for them
  std::vector<std::pair<std::string, std::string>> env;  // in pm2's order: the shell's, then the app's own
  std::vector<std::string> env_without_text;             // names whose value is an object
  std::string instance_variable = "NODE_APP_INSTANCE";

  bool autostart = true;
  bool autorestart = true;
  std::string status;  // "online", "stopped" …
  std::vector<int> stop_exit_codes;
  std::optional<std::int64_t> max_restarts, min_uptime, restart_delay, backoff_delay, kill_timeout;
  std::optional<std::uint64_t> max_memory;  // bytes
  std::string cron;
  bool wait_ready = false;
  bool watch = false;
  bool tree_kill = true;
  std::string output_log, error_log, pid_file;

  [[nodiscard]] const std::string* variable(std::string_view name_of) const;
};

// Modules included. What is no such list is an error that says what is expected.
base::result<std::vector<pm2_process>> parse_pm2_list(std::string_view text);

}  // namespace hasup::migrate
