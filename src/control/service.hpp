// What the control server asks of the daemon. All calls come from the event loop and none may block; the answers that
// take time go through a callback, which may be called at once, later from the loop, and at most once.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "control/event.hpp"
#include "control/status.hpp"
#include "hasup/exit_code.hpp"

namespace hasup::control {

// Who asks, from SO_PEERCRED.
struct peer {
  uid_t uid = 0;
  gid_t gid = 0;
  pid_t pid = 0;
};

struct command {
  std::string verb;                  // start stop restart reload signal recover reset apply enable … why
  std::vector<std::string> targets;  // as typed: unit, unit@N, @group; the service looks them up
  bool all = false;
  std::map<std::string, std::string>
      options;  // no_kill, force, yes, cancel, snapshot, plan, dry_run, history; "true" = set
  std::vector<std::string> arguments = {};  // start --once: words after the node's command
};

struct command_reply {
  hasup::exit_code code = hasup::exit_code::done;
  std::string message;  // for a person; several lines where the verb answers with a text (dry_run, history)
  std::vector<std::string> affected;  // "leap@0" in the order in which they are stopped or started
  std::string body;                   // JSON of the verb, "" = none. why: encode(why_report)
};

struct log_request {
  std::string unit;  // as typed: unit or unit@N; not yet looked up
  std::size_t lines = 100;
};

struct log_reply {
  hasup::exit_code code = hasup::exit_code::done;
  std::string message;  // when it failed
  std::string text;     // lines of the log as they are in the file
};

class service {
 public:
  virtual ~service() = default;

  virtual host_status status() = 0;
  // JSON of one unit or instance ({"unit":…} or an array of instances); "" = no such unit.
  virtual std::string unit_json(std::string_view name) = 0;

  virtual command_reply execute(const command& c, const peer& who) = 0;
  // What the server calls. A daemon that must make the intent durable before it answers overrides this one.
  virtual void execute_async(const command& c, const peer& who, std::function<void(command_reply)> done) {
    done(execute(c, who));
  }

  // The newest `max` events with a number above `seq`, oldest first.
  virtual std::vector<event> events_since(std::uint64_t seq, std::size_t max) = 0;

  // The end of a unit's log; reads files, so not on the loop.
  virtual void read_log(const log_request& r, std::function<void(log_reply)> done) = 0;
};

}  // namespace hasup::control
