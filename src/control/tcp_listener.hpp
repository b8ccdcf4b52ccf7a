// A TCP port whose connections get one answer each, or one a request; for load balancers. What is answered comes from
// the daemon, from its memory and at once.
//
// Whoever reaches the port may be anybody: connections are counted, each has a time limit for all that it does, and
// what is sent beyond a limit ends it.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "base/duration.hpp"
#include "base/result.hpp"
#include "model/health_group.hpp"

namespace boost::asio {
class io_context;
}

namespace hasup::control {

struct tcp_options {
  std::size_t connection_limit = 256;  // one more is closed as soon as it has come
  base::duration patience{10'000};     // for a request to arrive, for an answer to be taken
};

struct public_answer {
  unsigned http_status = 200;
  std::string body;  // text/plain
};
// Answers a request on a path that is not rejected (control/routes.hpp); "" = for the daemon itself.
using answer_health = std::function<public_answer(const std::string& name)>;
// The one line that a connection is told, without its end.
using answer_line = std::function<std::string()>;

// Lives on one io_context, from whose thread all calls must come.
class tcp_listener {
 public:
  // HTTP/1.1 and 1.0: GET and HEAD of /healthz and /healthz/NAME.
  static base::result<std::unique_ptr<tcp_listener>> open_http(boost::asio::io_context& io,
                                                               const model::tcp_endpoint& at, answer_health answer,
                                                               const tcp_options& options = {});
  // Each connection is told one line, and then closed; what it sends is not heeded.
  static base::result<std::unique_ptr<tcp_listener>> open_line(boost::asio::io_context& io,
                                                               const model::tcp_endpoint& at, answer_line answer,
                                                               const tcp_options& options = {});
  ~tcp_listener();  // ends all connections
  tcp_listener(const tcp_listener&) = delete;
  tcp_listener& operator=(const tcp_listener&) = delete;

  [[nodiscard]] std::size_t connections() const;

 private:
  class impl;
  explicit tcp_listener(std::shared_ptr<impl> i);
  std::shared_ptr<impl> impl_;
};

}  // namespace hasup::control
