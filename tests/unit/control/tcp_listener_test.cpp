// The listener for load balancers on real TCP ports: answers, limits, slow and rude clients.
#include "control/tcp_listener.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <catch2/catch.hpp>

#include "server_harness.hpp"
#include "show_result.hpp"

using namespace hasup;
using namespace hasup::control;

namespace {

std::uint16_t free_port() {
  const base::unique_fd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in a{};
  a.sin_family = AF_INET;
  a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof a;
  if (::bind(fd.get(), reinterpret_cast<sockaddr*>(&a), size) != 0 ||
      ::getsockname(fd.get(), reinterpret_cast<sockaddr*>(&a), &size) != 0)
    throw std::runtime_error("no free port");
  return ntohs(a.sin_port);
}

class peer_connection {
 public:
  explicit peer_connection(const model::tcp_endpoint& to) : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in a{};
    a.sin_family = AF_INET;
    a.sin_port = htons(to.port);
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (::connect(fd_.get(), reinterpret_cast<const sockaddr*>(&a), sizeof a) != 0)
      throw std::runtime_error("connect");
    timeval limit{60, 0};
    ::setsockopt(fd_.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  }
  void send(std::string_view bytes) { (void)!::send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL); }
  // Until the other side closes, or `enough` is at the end.
  std::string receive(std::string_view enough = {}) {
    std::string all;
    char c = 0;
    while (::recv(fd_.get(), &c, 1, 0) == 1) {
      all += c;
      if (!enough.empty() && all.ends_with(enough)) break;
    }
    return all;
  }

 private:
  base::unique_fd fd_;
};

// A listener on a loop and a thread of its own.
class running {
 public:
  enum class kind { http, line };
  explicit running(kind k, const tcp_options& options = {}) : guard_(boost::asio::make_work_guard(io_)) {
    auto opened = k == kind::http ? tcp_listener::open_http(
                                        io_, at,
                                        [this](const std::string& name) {
                                          asked = name;
                                          return answer;
                                        },
                                        options)
                                  : tcp_listener::open_line(
                                        io_, at, [this] { return answer.body; }, options);
    if (!opened) throw std::runtime_error(opened.error().message);
    listener_ = std::move(*opened);
    thread_ = std::thread([this] { io_.run(); });
  }
  ~running() {
    on_loop([this] { listener_.reset(); });
    guard_.reset();
    thread_.join();
  }
  running(const running&) = delete;
  running& operator=(const running&) = delete;

  template <class F>
  void on_loop(F f) {
    std::promise<void> done;
    boost::asio::post(io_, [&] {
      f();
      done.set_value();
    });
    done.get_future().get();
  }
  void wait_connections(std::size_t wanted) {
    for (std::size_t n = wanted + 1; n != wanted; std::this_thread::sleep_for(std::chrono::milliseconds(2)))
      on_loop([&] { n = listener_->connections(); });
  }
  boost::asio::io_context& io() { return io_; }

  const model::tcp_endpoint at{"127.0.0.1", free_port()};
  public_answer answer;
  std::string asked;

 private:
  boost::asio::io_context io_;
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> guard_;
  std::unique_ptr<tcp_listener> listener_;
  std::thread thread_;
};

}  // namespace

TEST_CASE("health is answered with its status and its reason, over a connection that is kept") {
  running r(running::kind::http);
  r.on_loop([&] { r.answer = {503, "leap: unhealthy\n"}; });
  peer_connection c(r.at);
  c.send("GET /healthz/leap HTTP/1.1\r\nHost: x\r\n\r\n");
  const auto ill = c.receive("unhealthy\n");
  CHECK(ill.starts_with("HTTP/1.1 503 Service Unavailable\r\n"));
  CHECK(ill.find("Content-Type: text/plain") != std::string::npos);
  CHECK(ill.find("Cache-Control: no-store") != std::string::npos);
  r.on_loop([&] {
    CHECK(r.asked == "leap");
    r.answer = {200, "ok\n"};
  });
  c.send("GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n");
  CHECK(c.receive("ok\n").starts_with("HTTP/1.1 200 OK\r\n"));
  r.on_loop([&] { CHECK(r.asked.empty()); });
}

TEST_CASE("HEAD is answered without the body, HTTP/1.0 with the end of the connection") {
  running r(running::kind::http);
  r.on_loop([&] { r.answer = {503, "leap: unhealthy\n"}; });
  peer_connection head(r.at);
  head.send("HEAD /healthz/leap HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  const auto without = head.receive();
  CHECK(without.starts_with("HTTP/1.1 503 "));
  CHECK(without.find("Content-Length: 16\r\n") != std::string::npos);
  CHECK(without.ends_with("\r\n\r\n"));
  peer_connection old(r.at);
  old.send("GET /healthz/leap HTTP/1.0\r\n\r\n");
  CHECK(old.receive().ends_with("leap: unhealthy\n"));
}

TEST_CASE("what is not understood, or too much, is refused") {
  running r(running::kind::http);
  const auto ask = [&](const std::string& request) {
    peer_connection c(r.at);
    c.send(request);
    return c.receive().substr(9, 3);
  };
  CHECK(ask("GET /v1/status HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n") == "404");
  CHECK(ask("POST /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 0\r\n\r\n") == "405");
  CHECK(ask("NONSENSE\r\n\r\n") == "400");
  CHECK(ask("GET /healthz HTTP/1.1\r\nX: " + std::string(20'000, 'x') + "\r\n\r\n") == "413");
  CHECK(ask("GET /healthz HTTP/1.1\r\nContent-Length: 100000\r\n\r\n" + std::string(20'000, 'x')) == "413");
  r.on_loop([&] { CHECK(r.asked.empty()); });
}

TEST_CASE("a client that is slow, or never asks, is dropped; one too many is closed at once") {
  tcp_options few;
  few.connection_limit = 2;
  few.patience = base::duration{200};
  running r(running::kind::http, few);
  peer_connection silent(r.at);
  CHECK(silent.receive().empty());
  r.wait_connections(0);
  tcp_options patient = few;
  patient.patience = base::duration{60'000};
  running p(running::kind::http, patient);
  p.on_loop([&] { p.answer = {200, "ok\n"}; });
  peer_connection one(p.at);
  peer_connection two(p.at);
  p.wait_connections(2);
  CHECK(peer_connection(p.at).receive().empty());
  one.send("GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n");
  CHECK(one.receive("ok\n").ends_with("ok\n"));
}

TEST_CASE("a connection is told one line and closed, whatever it sends") {
  running r(running::kind::line);
  r.on_loop([&] { r.answer.body = "ready up 75%"; });
  CHECK(peer_connection(r.at).receive() == "ready up 75%\n");
  peer_connection talks(r.at);
  talks.send(std::string(10'000, 'x'));
  CHECK(talks.receive() == "ready up 75%\n");
  r.wait_connections(0);
}

TEST_CASE("a port in use is an error that names it, and it is free again once the listener is gone") {
  model::tcp_endpoint at;
  {
    running r(running::kind::line);
    at = r.at;
    boost::asio::io_context io;
    const auto second = tcp_listener::open_line(io, at, [] { return std::string(); });
    REQUIRE_FALSE(second);
    CHECK(second.error().message == "cannot listen on " + to_text(at) + ": Address already in use");
    peer_connection open(at);
    CHECK(open.receive() == "\n");
  }
  boost::asio::io_context io;
  CHECK(tcp_listener::open_line(io, at, [] { return std::string(); }));
  CHECK_FALSE(tcp_listener::open_line(io, {"999.1.1.1", 80}, [] { return std::string(); }));
}
