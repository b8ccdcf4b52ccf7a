// A control server on a thread of its own with a service made for tests, in a directory that goes away with it.
#pragma once

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <filesystem>
#include <future>
#include <stdexcept>
#include <thread>

#include "control/client.hpp"
#include "control/server.hpp"

namespace hasup::control::testing {

class fake_service : public service {
 public:
  host_status now;
  std::vector<event> log;
  command last;
  peer last_peer;
  command_reply reply;
  std::function<void(command_reply)> parked;  // a command "later" is answered when the test says so
  unsigned commands = 0;

  host_status status() override { return now; }
  std::string unit_json(std::string_view name) override {
    for (const auto& u : now.units)
      if (u.unit == name) return encode(u);
    return {};
  }
  command_reply execute(const command& c, const peer& who) override {
    ++commands;
    last = c;
    last_peer = who;
    return reply;
  }
  void execute_async(const command& c, const peer& who, std::function<void(command_reply)> done) override {
    if (c.verb == "later")
      parked = std::move(done);
    else
      service::execute_async(c, who, std::move(done));
  }
  std::vector<event> events_since(std::uint64_t seq, std::size_t max) override {
    std::vector<event> all;
    for (const auto& e : log)
      if (e.seq > seq) all.push_back(e);
    if (all.size() > max) all.erase(all.begin(), all.end() - static_cast<std::ptrdiff_t>(max));
    return all;
  }
  void read_log(const log_request& r, std::function<void(log_reply)> done) override {
    if (r.unit != "leap") return done({exit_code::no_such_unit, "no unit \"" + r.unit + "\"", {}});
    done({exit_code::done, {}, "lines " + std::to_string(r.lines) + "\n"});
  }
};

struct temporary_directory {
  std::string path;
  temporary_directory() {
    char name[] = "/tmp/hasup-test-XXXXXX";
    if (!::mkdtemp(name)) throw std::runtime_error("mkdtemp");
    path = name;
  }
  ~temporary_directory() {
    std::error_code ignored;
    std::filesystem::remove_all(path, ignored);
  }
  temporary_directory(const temporary_directory&) = delete;
  temporary_directory& operator=(const temporary_directory&) = delete;
};

class running_server {
 public:
  explicit running_server(server_options options = {}, const std::string& below = "")
      : guard_(boost::asio::make_work_guard(io_)) {
    directory = home_.path + below;
    std::filesystem::create_directories(directory);
    options.directory = directory;
    auto opened = server::open(io_, options, of);
    if (!opened) throw std::runtime_error(opened.error().message);
    server_ = std::move(*opened);
    thread_ = std::thread([this] { io_.run(); });
  }
  ~running_server() {
    on_loop([this] {
      server_.reset();
      of.parked = {};  // it holds its connection, which lives on the loop
    });
    guard_.reset();
    thread_.join();
  }
  running_server(const running_server&) = delete;
  running_server& operator=(const running_server&) = delete;

  // Runs f on the loop and waits for it; what the service holds may only be touched there.
  template <class F>
  void on_loop(F f) {
    std::promise<void> done;
    boost::asio::post(io_, [&] {
      f();
      done.set_value();
    });
    done.get_future().get();
  }
  void publish(std::uint64_t seq, const std::string& unit = "leap", std::size_t padding = 0) {
    on_loop([&] {
      event e;
      e.seq = seq;
      e.unit = unit;
      e.kind = "started";
      e.reason = std::string(padding, 'x');
      of.log.push_back(e);
      server_->publish(e);
    });
  }
  std::size_t connections() {
    std::size_t n = 0;
    on_loop([&] { n = server_->connections(); });
    return n;
  }
  // Waits for a condition on the loop's state; false after a generous time.
  template <class Condition>
  bool eventually(Condition condition) {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(60);
    while (std::chrono::steady_clock::now() < deadline) {
      bool met = false;
      on_loop([&] { met = condition(); });
      if (met) return true;
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
    }
    return false;
  }
  server& inner() { return *server_; }

  fake_service of;
  std::string directory;

 private:
  temporary_directory home_;
  boost::asio::io_context io_;
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> guard_;
  std::unique_ptr<server> server_;
  std::thread thread_;
};

// A bare connection, for requests that no client would send.
class raw_connection {
 public:
  explicit raw_connection(const std::string& directory) : fd_(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_un a{};
    a.sun_family = AF_UNIX;
    const auto path = directory + "/hasupd.sock";
    path.copy(a.sun_path, sizeof a.sun_path - 1);
    if (::connect(fd_.get(), reinterpret_cast<const sockaddr*>(&a), sizeof a) != 0)
      throw std::runtime_error("connect");
    timeval limit{60, 0};
    ::setsockopt(fd_.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    ::setsockopt(fd_.get(), SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
  }
  void send(std::string_view bytes) {
    while (!bytes.empty()) {
      const auto n = ::send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (n <= 0) return;
      bytes.remove_prefix(static_cast<std::size_t>(n));
    }
  }
  void end_sending() { ::shutdown(fd_.get(), SHUT_WR); }
  // Until the server closes, or `enough` appears.
  std::string receive(std::string_view enough = {}) {
    std::string all;
    char bytes[4096];
    for (ssize_t n; (n = ::recv(fd_.get(), bytes, sizeof bytes, 0)) > 0;) {
      all.append(bytes, static_cast<std::size_t>(n));
      if (!enough.empty() && all.find(enough) != std::string::npos) break;
    }
    return all;
  }

 private:
  base::unique_fd fd_;
};

}  // namespace hasup::control::testing
