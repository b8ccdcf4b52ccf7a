// The commands of one hook of an instance, one after the other, as the unit's user and in its environment. The first
// that fails ends the hook. What they print goes to LOG/UNIT+hooks.log (no unit can have that name), a line of it as
// `2026-11-21T01:02:03.123456789Z stdout F pre_start: text`.
#pragma once

#include <boost/asio/steady_timer.hpp>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/duration.hpp"
#include "daemon/launch.hpp"
#include "daemon/unit_host.hpp"

namespace hasup::daemon {

struct hook_order {
  std::string name;  // "pre_start"
  std::vector<model::command_line> commands;
  base::duration timeout{60'000};                  // of each command; 0 = none
  std::map<std::string, std::string> environment;  // over the unit's: HASUP_UNIT, HASUP_EXIT_CODE …
};

class hook_run : public std::enable_shared_from_this<hook_run> {
 public:
  // `done` comes once, from the loop, never from inside this call: "" when all commands succeeded, else why not.
  // Commands and environment are copied: `unit` and `from` may go.
  static std::shared_ptr<hook_run> start(daemon_services& services, const model::unit& unit, const launch& from,
                                         hook_order order, std::function<void(std::string)> done);
  // SIGKILL to the command that runs; `done` is not called any more.
  void cancel();
  // SIGTERM to the command that runs and to what it started; no other command follows. After `grace` `may_kill` says
  // whether SIGKILL comes (and tells of it), else it is asked again. `then` comes instead of `done`, once nothing of
  // the hook runs any more. Again: only `then` changes.
  void end(base::duration grace, std::function<bool()> may_kill, std::function<void()> then);
  [[nodiscard]] const std::string& name() const { return order_.name; }
  ~hook_run();
  hook_run(const hook_run&) = delete;
  hook_run& operator=(const hook_run&) = delete;

 private:
  hook_run(daemon_services& services, const model::unit& unit, launch from, hook_order order,
           std::function<void(std::string)> done);
  void next();
  void ended(const std::string& program, const process::program_result& r);
  void finish(std::string why);
  void await_end(base::duration grace);
  void await_rest();
  void log(const std::string& output);

  daemon_services& services_;
  std::shared_ptr<unsigned> running_;  // counts this one as long as it or its command lives
  launch from_;
  hook_order order_;
  process::program_options options_;
  std::string log_path_;
  std::uint64_t log_max_size_;
  std::function<void(std::string)> done_;
  std::size_t at_ = 0;
  std::shared_ptr<process::program> program_;
  std::int32_t session_ = 0;  // of the last command
  bool ending_ = false;
  bool killed_ = false;
  std::function<bool()> may_kill_;
  boost::asio::steady_timer grace_;
  boost::asio::steady_timer rest_;
};

// The hooks' log beside that of the node: "leap+hooks.log", "miner@1+hooks.log".
std::string hook_log_name(const model::unit& unit);

}  // namespace hasup::daemon
