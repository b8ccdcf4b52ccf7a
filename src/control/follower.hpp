// One reader of the event stream (server-sent events). It never slows the daemon: events wait in a bounded queue, and
// who is too far behind or takes nothing for too long is dropped. For .cpp files only: it brings Asio.
#pragma once

#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/steady_timer.hpp>
#include <deque>
#include <functional>
#include <memory>
#include <string>

#include "control/event.hpp"

namespace hasup::control {

struct follower_limits {
  std::size_t events = 1000;
  base::duration keep_alive{15'000};  // a comment line when nothing else is sent
  base::duration stall{30'000};       // one write may take this long
};

class follower : public std::enable_shared_from_this<follower> {
 public:
  using socket = boost::asio::local::stream_protocol::socket;

  // `gone` is called once, when the stream has ended for whatever reason.
  follower(socket s, std::string filter, follower_limits limits, std::function<void(follower*)> gone);

  // Sends the header and the backlog, then whatever is published.
  void start(const std::vector<event>& backlog);
  // `line` is encode(e), made once for all followers.
  void publish(const event& e, const std::string& line);
  void close();

 private:
  void send(std::string bytes);
  void write_next();
  void watch();  // for the end of the peer
  void tick();

  socket socket_;
  boost::asio::steady_timer timer_;
  std::string filter_;
  follower_limits limits_;
  std::function<void(follower*)> gone_;
  std::deque<std::string> queue_;  // the front is being written while writing_
  bool writing_ = false;
  bool closed_ = false;
  std::uint64_t last_seq_ = 0;
  base::mono_time write_began_{};
  char ignored_[256];
};

}  // namespace hasup::control
