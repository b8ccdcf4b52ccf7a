// A loopback HTTP server that answers exactly the bytes a test says, and then closes: for everything that a proper
// server does not do.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <catch2/catch.hpp>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace hasup::test {

struct raw_request {
  std::string method, path, head;
  // "Range: bytes=5-9" -> 9, "Range: bytes=5-" -> -1
  [[nodiscard]] long last() const {
    const auto at = head.find("Range: bytes=");
    if (at == std::string::npos) return -1;
    const auto dash = head.find('-', at);
    return head[dash + 1] == '\r' ? -1 : std::stol(head.substr(dash + 1));
  }
  // "Range: bytes=5-" -> 5, else -1
  [[nodiscard]] long range() const {
    const auto at = head.find("Range: bytes=");
    return at == std::string::npos ? -1 : std::stol(head.substr(at + 13));
  }
  [[nodiscard]] bool has(const std::string& text) const { return head.find(text) != std::string::npos; }
};

class raw_server {
 public:
  using handler = std::function<std::string(const raw_request&)>;

  explicit raw_server(handler h) : handler_(std::move(h)) {
    fd_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    REQUIRE(::bind(fd_, reinterpret_cast<sockaddr*>(&address), size) == 0);
    REQUIRE(::listen(fd_, 16) == 0);
    REQUIRE(::getsockname(fd_, reinterpret_cast<sockaddr*>(&address), &size) == 0);
    port_ = ntohs(address.sin_port);
    thread_ = std::thread([this] { serve(); });
  }
  raw_server(const raw_server&) = delete;
  raw_server& operator=(const raw_server&) = delete;
  ~raw_server() {
    done_ = true;
    thread_.join();
    ::close(fd_);
  }

  [[nodiscard]] std::string url() const { return "http://127.0.0.1:" + std::to_string(port_) + "/"; }
  [[nodiscard]] std::vector<raw_request> requests() const {
    const std::lock_guard lock(mutex_);
    return requests_;
  }

 private:
  void serve() {
    while (!done_) {
      pollfd p{fd_, POLLIN, 0};
      if (::poll(&p, 1, 20) <= 0) continue;
      const int client = ::accept4(fd_, nullptr, nullptr, SOCK_CLOEXEC);
      if (client < 0) continue;
      answer(client);
      ::shutdown(client, SHUT_WR);
      // Read what is left, so that the close does not reset the connection under unread bytes.
      char rest[256];
      pollfd q{client, POLLIN, 0};
      while (::poll(&q, 1, 1000) > 0 && ::read(client, rest, sizeof rest) > 0) {
      }
      ::close(client);
    }
  }

  void answer(int client) {
    raw_request request;
    char buffer[4096];
    while (request.head.find("\r\n\r\n") == std::string::npos) {
      const auto n = ::read(client, buffer, sizeof buffer);
      if (n <= 0) return;
      request.head.append(buffer, static_cast<std::size_t>(n));
    }
    const auto first = request.head.find(' ');
    const auto second = request.head.find(' ', first + 1);
    request.method = request.head.substr(0, first);
    request.path = request.head.substr(first + 1, second - first - 1);
    {
      const std::lock_guard lock(mutex_);
      requests_.push_back(request);
    }
    const auto out = handler_(request);
    for (std::size_t at = 0; at < out.size();) {
      const auto n = ::send(client, out.data() + at, out.size() - at, MSG_NOSIGNAL);
      if (n <= 0) return;
      at += static_cast<std::size_t>(n);
    }
  }

  handler handler_;
  int fd_ = -1;
  int port_ = 0;
  std::atomic<bool> done_{false};
  mutable std::mutex mutex_;
  std::vector<raw_request> requests_;
  std::thread thread_;
};

inline std::string answer_200(const std::string& body, const std::string& headers = "", bool with_body = true) {
  return "HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(body.size()) + "\r\n" + headers +
         "Connection: close\r\n\r\n" + (with_body ? body : "");
}
inline std::string answer_status(int status) {
  return "HTTP/1.1 " + std::to_string(status) + " X\r\nContent-Length: 5\r\nConnection: close\r\n\r\nerror";
}

}  // namespace hasup::test
