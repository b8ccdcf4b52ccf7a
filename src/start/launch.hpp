// What a run needs beside its unit file: account, environment, limits. Read anew at each start, by the daemon on its
// disk thread, and by `hasup exec` for its command.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "model/unit.hpp"
#include "process/account.hpp"
#include "process/shim_client.hpp"
#include "process/spawner.hpp"

namespace hasup::start {

// Holds secrets: never logged, never written.
struct launch {
  process::account account;
  std::map<std::string, std::string> env;
  std::map<std::string, std::string> secrets;  // what the env files say, for ${secret:NAME}
  std::string cgroup;                          // its leaf; "" = none
  std::vector<std::string> limits_missing;     // for a person: what is not in force, and why
};

// The environment that every run has: PATH, HOME, USER, LOGNAME and LANG.
launch launch_as(process::account account);
// Blocks (NSS, files). PATH, HOME, USER, LOGNAME and LANG, then the env files, then [run] env.
base::result<launch> prepare_launch(const model::unit& unit);

// The environment of the node and of its hooks, with the secrets that [run] env asks for.
base::result<std::map<std::string, std::string>> environment_of(const model::unit& unit, const launch& from);

// A command of the unit file with ${secret:NAME} and ${env:NAME} filled in; a missing one is an error that names it.
base::result<std::vector<std::string>> fill_command(const std::vector<std::string>& command, const launch& from);

// The directories that no other process may run on; none for a unit that only reads another's.
std::vector<std::string> data_dirs_of(const model::unit& unit);

// What a run that began with `was` gets to be one of `is`; what is not named any more is as the daemon itself has it.
process::adjustment adjustment_to(const model::unit& was, const model::unit& is);
// Of a run that began with one unknown: all that the file names.
process::adjustment adjustment_to(const model::unit& is);
// How its log is rotated, and where it lies.
process::log_settings log_of(const model::unit& unit, const std::string& log_directory);

// The request for the shim, with secrets filled in and `append` after the command.
base::result<process::run_request> make_run_request(const model::unit& unit, const launch& from,
                                                    const std::vector<std::string>& append, std::uint64_t run,
                                                    const std::string& log_directory);

// A command beside the node, under a shim of its own: as whom, where and within which limits it runs. Command, run
// number, environment and log are the caller's.
process::run_request hook_request(const model::unit& unit, const launch& from);

// The environment file format of systemd and docker: KEY=VALUE, # comments, optional "export", quotes around values.
base::result<std::map<std::string, std::string>> parse_env_file(const std::string& path, std::string_view text);

}  // namespace hasup::start
