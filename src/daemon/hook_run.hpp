// The commands of one hook of an instance, one after the other, as the unit's user and in its environment. The first
// that fails ends the hook.
//
// Each hook runs under a shim of its own ("UNIT@N+pre_start"), as a node does: it outlives hasupd, which it may
// notice as little as a node does, what it prints goes to LOG/UNIT+pre_start.log as it comes, and the claim tells the
// next hasupd that it still runs. A hook that is begun while the same one of an earlier hasupd runs waits for that.
// What a command leaves behind in the background is ended with it.
#pragma once

#include <array>
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
  std::string name;                                // "pre_start"
  std::vector<model::command_line> commands;       // none: only the one of an earlier hasupd is waited for
  base::duration timeout{60'000};                  // of each command; 0 = none
  std::map<std::string, std::string> environment;  // over the unit's: HASUP_UNIT, HASUP_EXIT_CODE …
  bool tells_all = false;                          // why it failed: all that it printed, not the last line alone
};

class hook_run : public std::enable_shared_from_this<hook_run> {
 public:
  // `done` comes once, from the loop, never from inside this call: "" when all commands succeeded, else why not.
  // Commands and environment are copied: `unit` and `from` may go.
  static std::shared_ptr<hook_run> start(daemon_services& services, const model::unit& unit, const launch& from,
                                         hook_order order, std::function<void(std::string)> done);
  // SIGKILL to what runs; `done` is not called any more.
  void cancel();
  // SIGTERM to what runs; no other command follows. After `grace` `may_kill` says whether SIGKILL comes (and tells of
  // it), else it is asked again. `then` comes instead of `done`, once nothing of the hook runs any more. Again: only
  // `then` changes.
  void end(base::duration grace, std::function<bool()> may_kill, std::function<void()> then);
  [[nodiscard]] const std::string& name() const { return order_.name; }
  hook_run(const hook_run&) = delete;
  hook_run& operator=(const hook_run&) = delete;

 private:
  hook_run(daemon_services& services, const model::unit& unit, launch from, hook_order order,
           std::function<void(std::string)> done);
  void open();
  void take_shim();
  void found(const process::shim_status& s);
  void next();
  void replace_shim();
  void limit(base::duration left);
  void out_of_time();
  void await_end(base::duration grace);
  void end_rest();
  void over();
  void fail(const std::string& why) { finish(order_.name + ": " + why); }
  void finish(const std::string& why);
  void gone();

  void on(const process::shim_connected& e);
  static void on(const process::shim_started&) {}
  void on(const process::shim_exec_failed& e);
  void on(const process::shim_main_exited& e);
  void on(const process::shim_tree_empty& e);
  static void on(const process::shim_logs_dropped&) {}
  static void on(const process::shim_not_adjusted&) {}
  void on(const process::shim_lost& e);
  void on(const process::shim_busy& e);

  daemon_services& services_;
  std::string claim_;
  process::run_request request_;  // but for argv, env and run
  launch from_;                   // with the environment of the commands
  hook_order order_;
  std::function<void(std::string)> done_;
  std::unique_ptr<process::shim_client> shim_;
  bool in_line_ = false;                 // has the shim, or waits for it
  std::shared_ptr<hook_run> successor_;  // waits for the shim
  std::size_t at_ = 0;
  std::uint64_t run_ = 0;  // the command that runs; 0: none was begun here
  bool alive_ = false;     // something runs, of this hook or of an earlier hasupd's
  bool exited_ = false;    // the main process of what runs
  model::exit_status exit_;
  std::string said_;  // the last line of the command
  bool timed_out_ = false;
  bool ending_ = false;
  bool replacing_ = false;
  bool leaving_ = false;
  unsigned shims_lost_ = 0;
  std::function<bool()> may_kill_;
  boost::asio::steady_timer limit_;
  boost::asio::steady_timer grace_;
  boost::asio::steady_timer rest_;
};

inline constexpr std::array<std::string_view, 7> hook_names{
    "pre_start", "post_start", "stop_command", "post_stop", "check_command", "proxy_check", "proxy_reload"};
// The claim of a hook's shim: "leap@0+pre_start".
std::string hook_claim(const model::instance_id& id, std::string_view hook);

}  // namespace hasup::daemon
