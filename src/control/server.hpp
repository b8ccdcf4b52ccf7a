// The control API: HTTP/1.1 with JSON over a Unix socket, so that `curl --unix-socket` works.
//
//   GET  /v1/status                          host_status
//   GET  /v1/units/NAME                      service::unit_json
//   GET  /v1/units/NAME/why                  why_report (also POST)
//   GET  /v1/events?since=N&unit=X&n=100     {"events":[…]}, the newest n above since
//   GET  /v1/events?follow=1[&since=N]       server-sent events; without since only new ones; comments keep it alive
//   GET  /v1/logs/NAME?n=100                 text/plain
//   POST /v1/units/NAME/{start,stop,restart,recover,reset}   body: {"options":{…}} or empty
//   POST /v1/apply, /v1/upgrade              body as above
//   POST /v1/stop_all, /v1/start_all, /v1/restart_all
//   POST /v1/commands                        {"verb":…,"targets":[…],"all":false,"options":{…}}: what `hasup` uses
//
// A command is answered with {"code":N,"message":…,"affected":[…],"body":…}; code is an exit code of `hasup`.
// Anything malformed is answered with {"error":…}. Names are looked up by the service and never made into paths.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <memory>
#include <optional>
#include <string>

#include "base/result.hpp"
#include "base/unique_fd.hpp"
#include "control/service.hpp"

namespace boost::asio {
class io_context;
}

namespace hasup::control {

inline constexpr const char* socket_name = "hasupd.sock";

struct server_options {
  std::string directory;  // of the socket; must exist; may be longer than sun_path
  std::string name = socket_name;
  mode_t mode = 0600;                 // 0660 as root, for the group
  std::optional<gid_t> gid;           // owner group of the socket; not set = as created
  std::size_t body_limit = 1 << 20;   // bytes
  std::size_t follower_limit = 1000;  // events; a follower further behind is dropped
  std::size_t connection_limit = 256;
  base::duration idle_timeout{30'000};  // for a request to arrive, for an answer to be taken
  base::duration keep_alive{15'000};    // comment lines to followers
};

// Lives on one io_context, from whose thread all calls must come.
class server {
 public:
  // Binds and listens; replaces a stale socket file (the caller holds the daemon's lock). With `inherited`, what
  // hand_over() gave: goes on listening there.
  static base::result<std::unique_ptr<server>> open(boost::asio::io_context& io, const server_options& options,
                                                    service& of, base::unique_fd inherited = {});
  ~server();
  server(const server&) = delete;
  server& operator=(const server&) = delete;

  // Sends an event to those who follow.
  void publish(const event& e);
  // Ends all connections, removes the socket file. Idempotent.
  void close();

  // For a successor in this process: no connection is taken in any more, those that come wait with the kernel.
  void pause();
  void resume();
  // Connections that wait for an answer.
  [[nodiscard]] std::size_t unanswered() const;
  // Ends all connections and gives away the socket, which stays bound and goes on collecting connections.
  base::unique_fd hand_over();

  [[nodiscard]] std::size_t connections() const;

 private:
  class impl;
  explicit server(std::shared_ptr<impl> i);
  std::shared_ptr<impl> impl_;
};

}  // namespace hasup::control
