// A parsed command line: what the verbs read. No parser in sight.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/duration.hpp"
#include "cli/snapshot_call.hpp"
#include "hasup/exit_code.hpp"

namespace hasup::cli {

struct invocation {
  std::string verb;                  // its first name: status, never ls
  std::vector<std::string> targets;  // units, groups, paths, key=value
  bool all = false;
  bool json = false;
  bool colour_off = false;

  bool watch = false;    // status
  bool no_wait = false;  // start, stop, restart, recover
  bool no_kill = false;  // stop
  bool for_shutdown = false;
  bool to_file = false;                // scale, enable, disable: back to what the file says
  bool from_nothing = false;           // start: its state may be missing, this once
  bool adopt = false;                  // start: a process that somebody else started
  bool undo = false;                   // upstream avoid
  bool once = false;                   // start: `arguments` for this run only
  std::vector<std::string> arguments;  // also: the command of exec
  std::string word;    // signal: its name; scale: a number; maintenance: on or off; daemon, snapshot: what to do
  std::string binary;  // daemon upgrade: not the program that hasupd was started from
  bool force = false;  // stop, import, init
  std::optional<base::duration> timeout;

  bool follow = false;               // logs, events
  std::optional<std::size_t> lines;  // logs, events; max() = all
  std::string since;                 // logs: duration or time
  std::string grep;
  bool timestamps = false;
  bool previous = false;
  std::string unit;  // events

  bool dot = false;        // graph
  bool effective = false;  // cat
  std::string wanted;      // wait --for

  std::string snapshot;  // recover
  std::string plan;
  std::string from;      // a local archive
  bool dry_run = false;  // recover, apply, import, init
  bool yes = false;      // also init
  bool cancel = false;
  bool roll_back = false;
  bool history = false;
  bool keep = false;     // demo
  bool running = false;  // import: ask the running one
  std::string tool;      // pm2
  std::string list;      // its file
  std::string output;    // directory; also of init, snapshot get

  bool list_all = false;          // init
  std::vector<std::string> sets;  // init: NAME=VALUE
  std::string name;               // init: of the unit

  snapshot_call snapshots;

  std::string recipe;  // classify
  std::optional<int> exit_status;
  std::string signal;
  std::string log_file;
  bool before_startup = false;
  std::string readiness;  // passed, failed; "" = not known
  std::optional<base::duration> ran_for;
};

// Text to print instead of running a verb: help and version (done), a usage error (usage).
struct answer {
  exit_code code = exit_code::done;
  std::string text;
};

std::variant<invocation, answer> parse_command_line(const std::vector<std::string>& arguments);

// What a completion script needs: each verb with its aliases and long options.
struct verb_shape {
  std::string name;
  std::vector<std::string> aliases;
  std::string summary;
  std::vector<std::string> options;  // "--json", "-f"
  bool takes_units = false;
};
std::vector<verb_shape> verb_shapes();

}  // namespace hasup::cli
