// The one place of the daemon that forks: shims, and short programs (exec probes, self-checks).
//
// Starting is vfork-like (the daemon's memory is not copied), every descriptor of the daemon is close-on-exec, each
// child gets a session of its own and clean signals, and each is waited for in one place, here. What it starts it
// never kills, except a short program that is cancelled or runs out of time; a short program does not outlive the
// thread that started it. Call from the loop's thread only.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/duration.hpp"
#include "base/result.hpp"
#include "model/exit_status.hpp"

namespace boost::asio {
class io_context;
}

namespace hasup::process {

struct program_options {
  base::duration timeout{0};    // 0 = none; then SIGKILL to the program's session
  std::optional<unsigned> uid;  // as in run_request
  std::optional<unsigned> gid;
  std::vector<unsigned> groups;
  std::string directory = "/";
  std::size_t capture = 64 << 10;  // bytes of stdout and stderr, the last ones; what is older is dropped
};

struct program_result {
  model::exit_status exit;  // lost: it never ran, see error
  std::string output;
  bool timed_out = false;
  bool cancelled = false;
  std::string error;  // why it could not be started; "" = it ran
  [[nodiscard]] bool succeeded() const { return exit.code == 0 && !timed_out && !cancelled; }
};

// A running short program. Dropping it does not stop the program; cancel() does.
class program {
 public:
  virtual ~program() = default;
  virtual void cancel() = 0;  // SIGKILL to its session; the handler follows with cancelled
  [[nodiscard]] virtual std::int32_t pid() const = 0;
};

// argv[0] without a slash is looked up in the PATH of env. The handler is called once, from the loop, never from
// inside this call, also when the program could not be started. It ends when the program itself ended and its output
// was closed, or half a second later when something that it left behind keeps the output open.
std::shared_ptr<program> async_run(boost::asio::io_context& io, const std::vector<std::string>& argv,
                                   const std::map<std::string, std::string>& env, const program_options& options,
                                   std::function<void(program_result)> handler);

// Starts a shim, or a worker that stays, with `connection` (a connected Unix stream socket) as its standard input. A
// shim outlives the daemon; its environment is empty. The handler gets its exit, if the daemon lives to see it.
base::result<std::int32_t> spawn_connected(boost::asio::io_context& io, const std::vector<std::string>& argv,
                                           int connection, std::function<void(model::exit_status)> on_exit);

// Children that a program before this one in the same process has left: waited for, so that none stays a zombie. Call
// before anything is started.
void await_inherited(boost::asio::io_context& io);

}  // namespace hasup::process
