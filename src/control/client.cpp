// The blocking client: one request a connection, over plain sockets.
#include "control/client.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <algorithm>
#include <charconv>

#include "control/command.hpp"
#include "control/server.hpp"

namespace hasup::control {
namespace {

using clock = std::chrono::steady_clock;

enum class io_outcome { ready, timeout, interrupted, failed };

io_outcome wait_for(int fd, short what, base::mono_time deadline) {
  const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - clock::now()).count();
  pollfd p{fd, what, 0};
  const int n = ::poll(&p, 1, static_cast<int>(std::clamp<long long>(left, 0, 1'000'000)));
  if (n > 0) return io_outcome::ready;
  if (n == 0) return io_outcome::timeout;
  return errno == EINTR ? io_outcome::interrupted : io_outcome::failed;
}

client_error no_answer(std::string_view why) {
  return {exit_code::daemon_unreachable,
          fmt::format("hasupd does not answer: {}; see its own log (journalctl -u hasupd)", why)};
}

// Says whether a daemon holds the lock although its socket cannot be reached.
client_error unreachable(const std::string& directory, int code) {
  if (code == EACCES || code == EPERM)
    return {
        exit_code::permission_denied,
        fmt::format("permission denied: {}/{}; join the group that owns it, or use sudo", directory, socket_name)};
  base::unique_fd lock(::open((directory + "/hasupd.lock").c_str(), O_RDONLY | O_CLOEXEC));
  struct flock probe {};
  probe.l_type = F_RDLCK;
  probe.l_whence = SEEK_SET;
  const bool flocked = lock && ::flock(lock.get(), LOCK_SH | LOCK_NB) != 0 && errno == EWOULDBLOCK;
  const bool locked = lock && ::fcntl(lock.get(), F_OFD_GETLK, &probe) == 0 && probe.l_type != F_UNLCK;
  if (flocked || locked)
    return {exit_code::daemon_unreachable,
            fmt::format("hasupd runs (it holds {}/hasupd.lock) but does not listen; wait a moment, then see its log",
                        directory)};
  return {
      exit_code::daemon_unreachable,
      fmt::format("hasupd does not run here ({}/{}: {}); start it with `systemctl start hasupd` or `hasupd`; units "
                  "that were running go on without it",
                  directory, socket_name, code == ECONNREFUSED ? "nobody listens" : "not there")};
}

exit_code code_of(int http_status) {
  switch (http_status) {
    case 400:
      return exit_code::usage;
    case 403:
      return exit_code::permission_denied;
    case 404:
      return exit_code::no_such_unit;
    case 422:
      return exit_code::invalid_configuration;
    default:
      return exit_code::failed;
  }
}

client_result<bool> send_all(int fd, std::string_view bytes, base::mono_time deadline) {
  while (!bytes.empty()) {
    const auto n = ::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n > 0) {
      bytes.remove_prefix(static_cast<std::size_t>(n));
    } else if (errno == EAGAIN) {
      if (wait_for(fd, POLLOUT, deadline) == io_outcome::timeout) return no_answer("it does not take the request");
    } else if (errno == EPIPE || errno == ECONNRESET) {
      return true;  // it may have answered already (a body that is too large): the answer is what counts
    } else if (errno != EINTR) {
      return no_answer(base::errno_error("send").message);
    }
  }
  return true;
}

// More bytes into `buffer`; false at the end of the stream.
client_result<bool> receive(int fd, std::string& buffer, base::mono_time deadline) {
  for (;;) {
    char bytes[16 * 1024];
    const auto n = ::recv(fd, bytes, sizeof bytes, MSG_DONTWAIT);
    if (n > 0) {
      buffer.append(bytes, static_cast<std::size_t>(n));
      return true;
    }
    if (n == 0 || errno == ECONNRESET) return false;
    if (errno == EAGAIN) {
      const auto outcome = wait_for(fd, POLLIN, deadline);
      if (outcome == io_outcome::timeout) return no_answer("no answer in time");
      if (outcome == io_outcome::failed) return no_answer(base::errno_error("poll").message);
    } else if (errno != EINTR) {
      return no_answer(base::errno_error("receive").message);
    }
  }
}

struct header {
  int status = 0;
  std::optional<std::size_t> length;
};

// Reads up to the end of the header; what follows it stays in `buffer`.
client_result<header> receive_header(int fd, std::string& buffer, base::mono_time deadline) {
  std::size_t end;
  while ((end = buffer.find("\r\n\r\n")) == std::string::npos) {
    if (buffer.size() > 64 * 1024) return no_answer("the answer is not HTTP");
    const auto more = receive(fd, buffer, deadline);
    if (!more) return more.error();
    if (!*more) return no_answer("it closed the connection");
  }
  header h;
  const std::string_view text(buffer.data(), end);
  if (!text.starts_with("HTTP/1.1 ") ||
      std::from_chars(text.data() + 9, text.data() + std::min<std::size_t>(end, 12), h.status).ec != std::errc{})
    return no_answer("the answer is not HTTP");
  for (std::size_t at = text.find("\r\n"); at != std::string_view::npos; at = text.find("\r\n", at + 2)) {
    constexpr std::string_view name = "content-length:";
    auto line = text.substr(at + 2, name.size());
    if (!std::equal(line.begin(), line.end(), name.begin(), name.end(),
                    [](char a, char b) { return (a >= 'A' && a <= 'Z' ? a + 32 : a) == b; }))
      continue;
    auto value = text.substr(at + 2 + name.size());
    value.remove_prefix(std::min(value.find_first_not_of(' '), value.size()));
    std::size_t n = 0;
    if (std::from_chars(value.data(), value.data() + value.size(), n).ec == std::errc{}) h.length = n;
  }
  buffer.erase(0, end + 4);
  return h;
}

std::string error_text(const http_reply& r) {
  // Both {"error":…} and the answer of a command carry a text for a person.
  if (const auto reply = decode_reply(r.body); reply && !reply->message.empty()) return reply->message;
  if (const auto e = decode_error(r.body); !e.empty()) return e;
  return fmt::format("hasupd answered with HTTP {}", r.status);
}

}  // namespace

client::client(std::string run_directory, base::duration timeout)
    : run_directory_(std::move(run_directory)), timeout_(timeout) {}

client_result<base::unique_fd> client::connect() const {
  base::unique_fd directory(::open(run_directory_.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!directory) return unreachable(run_directory_, errno);
  base::unique_fd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!fd) return client_error{exit_code::failed, base::errno_error("create a socket").message};
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const auto path = fmt::format("/proc/self/fd/{}/{}", directory.get(), socket_name);
  path.copy(address.sun_path, sizeof address.sun_path - 1);
  while (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
    if (errno != EINTR) return unreachable(run_directory_, errno);
  return fd;
}

client_result<http_reply> client::request(std::string_view method, std::string_view target,
                                          std::string_view body) const {
  auto fd = connect();
  if (!fd) return fd.error();
  const auto deadline = clock::now() + timeout_;
  auto head = fmt::format("{} {} HTTP/1.1\r\nHost: hasupd\r\nConnection: close\r\nContent-Length: {}\r\n\r\n", method,
                          target, body.size());
  head.append(body);
  if (const auto sent = send_all(fd->get(), head, deadline); !sent) return sent.error();
  std::string buffer;
  const auto h = receive_header(fd->get(), buffer, deadline);
  if (!h) return h.error();
  while (!h->length || buffer.size() < *h->length) {
    const auto more = receive(fd->get(), buffer, deadline);
    if (!more) return more.error();
    if (*more) continue;
    if (h->length) return no_answer("the answer was cut off");
    break;
  }
  return http_reply{h->status, std::move(buffer)};
}

client_result<http_reply> client::get(std::string_view target) const {
  auto r = request("GET", target, {});
  if (r && r->status / 100 != 2) return client_error{code_of(r->status), error_text(*r)};
  return r;
}

client_result<http_reply> client::post(std::string_view target, std::string_view body) const {
  auto r = request("POST", target, body);
  if (r && r->status / 100 != 2) return client_error{code_of(r->status), error_text(*r)};
  return r;
}

client_result<host_status> client::status() const {
  const auto r = get("/v1/status");
  if (!r) return r.error();
  auto s = decode_status(r->body);
  if (!s) return client_error{exit_code::failed, s.error().message};
  return std::move(*s);
}

client_result<command_reply> client::execute(const command& c) const {
  const auto r = request("POST", "/v1/commands", encode(c));
  if (!r) return r.error();
  if (auto reply = decode_reply(r->body)) return std::move(*reply);
  return client_error{code_of(r->status), error_text(*r)};
}

client_result<std::vector<event>> client::events(std::uint64_t since, std::size_t newest,
                                                 std::string_view unit) const {
  auto target = fmt::format("/v1/events?since={}&n={}", since, newest);
  if (!unit.empty()) target += "&unit=" + url_escape(unit);
  const auto r = get(target);
  if (!r) return r.error();
  auto all = decode_events(r->body);
  if (!all) return client_error{exit_code::failed, all.error().message};
  return std::move(*all);
}

client_result<event_stream> client::follow(std::optional<std::uint64_t> since, std::string_view unit) const {
  auto fd = connect();
  if (!fd) return fd.error();
  std::string target = "/v1/events?follow=1";
  if (since) target += fmt::format("&since={}", *since);
  if (!unit.empty()) target += "&unit=" + url_escape(unit);
  const auto deadline = clock::now() + timeout_;
  const auto head = fmt::format("GET {} HTTP/1.1\r\nHost: hasupd\r\nAccept: text/event-stream\r\n\r\n", target);
  if (const auto sent = send_all(fd->get(), head, deadline); !sent) return sent.error();
  event_stream s;
  const auto h = receive_header(fd->get(), s.buffer_, deadline);
  if (!h) return h.error();
  if (h->status != 200) return client_error{code_of(h->status), error_text({h->status, s.buffer_})};
  s.fd_ = std::move(*fd);
  return s;
}

bool event_stream::parse(event& into) {
  for (;;) {
    const auto end = buffer_.find("\n\n");
    if (end == std::string::npos) return false;
    const std::string frame = buffer_.substr(0, end);
    buffer_.erase(0, end + 2);
    constexpr std::string_view tag = "data: ";
    const auto at = frame.starts_with(tag) ? 0 : frame.find("\ndata: ");
    if (at == std::string::npos) continue;  // a comment
    const auto from = at == 0 ? tag.size() : at + 1 + tag.size();
    auto e = decode_event(std::string_view(frame).substr(from, frame.find('\n', from) - from));
    if (!e) continue;  // of a newer daemon; the next one may be readable
    into = std::move(*e);
    return true;
  }
}

event_stream::outcome event_stream::next(event& into, base::mono_time deadline) {
  for (;;) {
    if (parse(into)) return outcome::event;
    switch (wait_for(fd_.get(), POLLIN, deadline)) {
      case io_outcome::timeout:
        return outcome::timeout;
      case io_outcome::interrupted:
        return outcome::interrupted;
      case io_outcome::failed:
        return outcome::closed;
      case io_outcome::ready:
        break;
    }
    char bytes[16 * 1024];
    const auto n = ::recv(fd_.get(), bytes, sizeof bytes, MSG_DONTWAIT);
    if (n > 0)
      buffer_.append(bytes, static_cast<std::size_t>(n));
    else if (n == 0 || (errno != EAGAIN && errno != EINTR))
      return outcome::closed;
  }
}

std::string url_escape(std::string_view text) {
  std::string out;
  for (const char c : text) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
                       c == '.' || c == '_' || c == '~' || c == '@';
    if (plain)
      out += c;
    else
      out += fmt::format("%{:02X}", static_cast<unsigned char>(c));
  }
  return out;
}

}  // namespace hasup::control
