// The blocking client of the control API, for the command line: plain sockets, so that a program that only asks for
// the status loads nothing else.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "base/duration.hpp"
#include "base/result.hpp"
#include "base/unique_fd.hpp"
#include "control/event.hpp"
#include "control/service.hpp"
#include "control/status.hpp"
#include "hasup/exit_code.hpp"

namespace hasup::control {

// Why a request got no good answer; `code` is what `hasup` exits with: 5 not reachable, 7 permission, 4, 2, 1.
struct client_error {
  hasup::exit_code code = hasup::exit_code::failed;
  std::string message;
};

[[noreturn]] inline void throw_exception_from_error(const client_error& e, const boost::source_location&) {
  throw std::logic_error("unchecked error: " + e.message);
}

template <class T>
using client_result = boost::system::result<T, client_error>;

struct http_reply {
  int status = 0;
  std::string body;
};

// A stream of events. Open until the daemon ends or this object goes.
class event_stream {
 public:
  enum class outcome { event, timeout, closed, interrupted };
  // Waits for the next event, at most until the deadline, and until a signal arrives (interrupted).
  outcome next(event& into, base::mono_time deadline);

 private:
  friend class client;
  bool parse(event& into);
  base::unique_fd fd_;
  std::string buffer_;
};

class client {
 public:
  // run_directory holds hasupd.sock; it may be longer than sun_path.
  explicit client(std::string run_directory, base::duration timeout = base::duration{10'000});

  // Any 2xx answer; every other is an error with the server's message.
  client_result<http_reply> get(std::string_view target) const;
  client_result<http_reply> post(std::string_view target, std::string_view body) const;

  client_result<host_status> status() const;
  client_result<command_reply> execute(const command& c) const;
  client_result<std::vector<event>> events(std::uint64_t since, std::size_t newest, std::string_view unit) const;

  // Returns once the daemon has accepted the stream: whatever happens afterwards is in it.
  client_result<event_stream> follow(std::optional<std::uint64_t> since, std::string_view unit) const;

  [[nodiscard]] const std::string& run_directory() const { return run_directory_; }

 private:
  client_result<base::unique_fd> connect() const;
  client_result<http_reply> request(std::string_view method, std::string_view target, std::string_view body) const;
  std::string run_directory_;
  base::duration timeout_;
};

// Percent-encodes what is not unreserved, for a path segment or a query value.
std::string url_escape(std::string_view text);

}  // namespace hasup::control
