// What load balancers are told ([http] and [[health]] of hasup.toml): which ports are open, and what is answered
// there. A port that cannot be had is told of and tried again; nothing else of the daemon waits for it.
#pragma once

#include <boost/asio/steady_timer.hpp>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "config/unit_dir.hpp"
#include "control/event.hpp"
#include "control/tcp_listener.hpp"
#include "health/answer.hpp"

namespace hasup::daemon {

class health_desk {
 public:
  // `views`: of all instances, as they are now.
  health_desk(boost::asio::io_context& loop, std::function<std::vector<health::instance_view>()> views,
              std::function<void(control::event)> publish);

  // Opens what is new and closes what is gone; what stays keeps its connections.
  void set(const config::daemon_settings& settings);

 private:
  void open_missing();
  base::result<std::unique_ptr<control::tcp_listener>> open(const model::tcp_endpoint& at);
  [[nodiscard]] control::public_answer answer(const std::string& name) const;
  [[nodiscard]] std::string agent_line(const model::tcp_endpoint& at) const;
  void tell(const std::string& kind, const std::string& why);

  boost::asio::io_context& loop_;
  std::function<std::vector<health::instance_view>()> views_;
  std::function<void(control::event)> publish_;
  std::optional<model::tcp_endpoint> http_;
  std::vector<model::health_group> groups_;
  struct opening {
    bool is_http = false;
    std::unique_ptr<control::tcp_listener> listener;  // null: could not be opened yet
    std::string told;                                 // why not
  };
  std::map<model::tcp_endpoint, opening> ports_;
  boost::asio::steady_timer retry_;
};

}  // namespace hasup::daemon
