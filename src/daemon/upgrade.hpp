// hasup daemon upgrade: is the new program fit, and is this a moment to go? Whoever owns the process then runs it in
// this one's place.
//
//   begin -> its --self-check passes -> the disk answers -> no hook runs -> answered -> the socket is paused
//         -> every other answer was taken -> go
//   Where one of these does not come: refused, with the reason, and everything is as before.
//
// Nothing else has to be waited for: whatever may be cut off by a crash may be cut off here. A hook may not, because
// it is this process that waits for it.
#pragma once

#include <boost/asio/steady_timer.hpp>
#include <functional>
#include <string>
#include <string_view>

#include "control/server.hpp"
#include "control/service.hpp"
#include "daemon/unit_host.hpp"
#include "process/spawner.hpp"

namespace hasup::daemon {

// Stands in what --self-check prints of a program that takes the lock and the socket over from the one in whose
// place it is run. Without it a program is not run: it might be any, or a hasupd that finds its own lock taken.
inline constexpr std::string_view hand_over_mark = "hand-over 1";

class upgrade {
 public:
  upgrade(daemon_services& services, std::function<void(control::event)> publish);

  void set_server(control::server* server) { server_ = server; }
  // Runs the program in the place of this one; called from the loop.
  std::function<void(const std::string& program)> on_go;

  void begin(const control::command& c, const control::peer& who, std::function<void(control::command_reply)> done);

 private:
  void checked(const process::program_result& r);
  void await_disk();
  void await_hooks();
  void await_answers();
  void look_again(void (upgrade::*then)());
  void refuse(exit_code code, const std::string& why);

  daemon_services& services_;
  std::function<void(control::event)> publish_;
  control::server* server_ = nullptr;
  boost::asio::steady_timer timer_;
  std::string program_;
  std::string found_;  // what the self-check said
  std::function<void(control::command_reply)> done_;
  bool under_way_ = false;
  base::mono_time hooks_until_{};
  base::mono_time answers_until_{};
};

}  // namespace hasup::daemon
