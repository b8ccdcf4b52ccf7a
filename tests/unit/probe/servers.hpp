// Real servers for the probe tests: each runs on a thread of its own and serves connections by a script.
#pragma once

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <atomic>
#include <functional>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "base/unique_fd.hpp"

namespace hasup::probe_test {

inline int listen_on(const sockaddr* at, socklen_t size, int backlog = 16) {
  const int fd = ::socket(at->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const int on = 1;
  ::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (fd < 0 || ::bind(fd, at, size) != 0 || ::listen(fd, backlog) != 0) throw std::runtime_error("cannot listen");
  return fd;
}

inline int listen_on_loopback(std::uint16_t port = 0, bool everywhere = false) {
  sockaddr_in at{};
  at.sin_family = AF_INET;
  at.sin_port = htons(port);
  at.sin_addr.s_addr = htonl(everywhere ? INADDR_ANY : INADDR_LOOPBACK);
  return listen_on(reinterpret_cast<sockaddr*>(&at), sizeof at);
}

inline int listen_on_v6(bool everywhere) {
  sockaddr_in6 at{};
  at.sin6_family = AF_INET6;
  at.sin6_addr = everywhere ? in6addr_any : in6addr_loopback;
  return listen_on(reinterpret_cast<sockaddr*>(&at), sizeof at);
}

inline int listen_on_unix(const std::string& path, int backlog = 16) {
  sockaddr_un at{};
  at.sun_family = AF_UNIX;
  path.copy(at.sun_path, sizeof at.sun_path - 1);
  return listen_on(reinterpret_cast<sockaddr*>(&at), sizeof at, backlog);
}

inline std::uint16_t port_of(int fd) {
  sockaddr_storage at{};
  socklen_t size = sizeof at;
  ::getsockname(fd, reinterpret_cast<sockaddr*>(&at), &size);
  return ntohs(at.ss_family == AF_INET6 ? reinterpret_cast<sockaddr_in6&>(at).sin6_port
                                        : reinterpret_cast<sockaddr_in&>(at).sin_port);
}

// A connection as the script sees it; every wait ends when the server is taken down.
class peer {
 public:
  peer(int fd, int stop) : fd_(fd), stop_(stop) {}

  [[nodiscard]] int fd() const { return fd_.get(); }

  // Reads one request (header and Content-Length); empty at the end.
  std::string request() {
    std::string all;
    std::size_t wanted = 0;
    char buffer[4096];
    while (wanted == 0 || all.size() < wanted) {
      if (!ready(POLLIN)) return {};
      const ssize_t n = ::recv(fd_.get(), buffer, sizeof buffer, 0);
      if (n <= 0) return {};
      all.append(buffer, static_cast<std::size_t>(n));
      const auto end = all.find("\r\n\r\n");
      if (end == std::string::npos || wanted != 0) continue;
      const auto length = all.find("Content-Length: ");
      wanted = end + 4 + (length < end ? std::stoul(all.substr(length + 16)) : 0);
    }
    return all;
  }
  // Exactly so many bytes; fewer at the end.
  std::string read(std::size_t size) {
    std::string all(size, '\0');
    std::size_t have = 0;
    while (have < size && ready(POLLIN)) {
      const ssize_t n = ::recv(fd_.get(), all.data() + have, size - have, 0);
      if (n <= 0) break;
      have += static_cast<std::size_t>(n);
    }
    all.resize(have);
    return all;
  }
  bool send(const std::string& bytes) {
    std::size_t sent = 0;
    while (sent < bytes.size()) {
      if (!ready(POLLOUT)) return false;
      const ssize_t n = ::send(fd_.get(), bytes.data() + sent, bytes.size() - sent, MSG_NOSIGNAL | MSG_DONTWAIT);
      if (n < 0 && errno != EAGAIN) return false;
      if (n > 0) sent += static_cast<std::size_t>(n);
    }
    return true;
  }
  // The other side gets a reset rather than an end.
  void reset() {
    const linger l{1, 0};
    ::setsockopt(fd_.get(), SOL_SOCKET, SO_LINGER, &l, sizeof l);
    fd_.reset();
  }
  // Holds the connection open and silent until the other side or the test ends it.
  void stall() {
    char byte = 0;
    while (ready(POLLIN) && ::recv(fd_.get(), &byte, 1, 0) > 0) {
    }
  }
  // False once the server is taken down.
  bool pause(int milliseconds) {
    pollfd p{stop_, POLLIN, 0};
    return ::poll(&p, 1, milliseconds) == 0;
  }

 private:
  bool ready(short what) {
    pollfd p[2] = {{fd_.get(), what, 0}, {stop_, POLLIN, 0}};
    ::poll(p, 2, -1);
    return p[1].revents == 0;
  }

  base::unique_fd fd_;
  int stop_;
};

class server {
 public:
  using script = std::function<void(peer&)>;

  explicit server(script s, int listener = listen_on_loopback()) : listener_(listener), script_(std::move(s)) {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) throw std::runtime_error("pipe");
    stop_read_.reset(ends[0]);
    stop_write_.reset(ends[1]);
    thread_ = std::thread([this] { serve(); });
  }
  ~server() {
    stop_write_.reset();
    thread_.join();
    for (auto& t : peers_) t.join();
  }

  [[nodiscard]] std::uint16_t port() const { return port_of(listener_.get()); }
  [[nodiscard]] std::string place() const { return "127.0.0.1:" + std::to_string(port()); }
  [[nodiscard]] std::string url(const std::string& path = "/") const { return "http://" + place() + path; }
  [[nodiscard]] int connections() const { return connections_; }

 private:
  void serve() {
    while (true) {
      pollfd p[2] = {{listener_.get(), POLLIN, 0}, {stop_read_.get(), POLLIN, 0}};
      ::poll(p, 2, -1);
      if (p[1].revents != 0) return;
      const int fd = ::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC);
      if (fd < 0) continue;
      ++connections_;
      peers_.emplace_back([this, fd] {
        peer one(fd, stop_read_.get());
        script_(one);
      });
    }
  }

  base::unique_fd listener_, stop_read_, stop_write_;
  script script_;
  std::atomic<int> connections_{0};
  std::vector<std::thread> peers_;
  std::thread thread_;
};

inline std::string http_answer(const std::string& body, const std::string& status = "200 OK") {
  return "HTTP/1.1 " + status + "\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
}

// Answers every request on a connection in the same way.
inline server::script always(std::string answer) {
  return [answer = std::move(answer)](peer& p) {
    while (!p.request().empty() && p.send(answer)) {
    }
  };
}

}  // namespace hasup::probe_test
