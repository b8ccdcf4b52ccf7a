// Real shims on temporary directories, driven through the client until the awaited event comes or a minute is over.
#pragma once

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <boost/asio/io_context.hpp>
#include <catch2/catch.hpp>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <memory>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "process/process_tree.hpp"
#include "process/shim_client.hpp"

namespace hasup::process::test {

inline constexpr std::chrono::seconds patience{60};

// Asks until it is true; for what happens in other processes and sends no event.
template <class Condition>
bool eventually(Condition condition) {
  const auto until = std::chrono::steady_clock::now() + patience;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > until) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  return true;
}

inline std::string read_file(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

struct log_line {
  std::string stream;
  char mark = '?';
  std::string text;
};

// The CRI lines of a log; fails the test on a line of another form.
inline std::vector<log_line> parse_log(const std::string& text) {
  std::vector<log_line> lines;
  for (std::size_t at = 0; at < text.size();) {
    const auto end = text.find('\n', at);
    REQUIRE(end != std::string::npos);
    const std::string line = text.substr(at, end - at);
    REQUIRE(line.size() >= 40);
    REQUIRE(line[10] == 'T');
    REQUIRE(line[29] == 'Z');
    lines.push_back({line.substr(31, 6), line[38], line.substr(40)});
    at = end + 1;
  }
  return lines;
}

class home {
 public:
  explicit home(const std::string& below = "") {
    char pattern[] = "/tmp/hasup-process-XXXXXX";
    REQUIRE(::mkdtemp(pattern) != nullptr);
    top_ = pattern;
    std::filesystem::create_directories(path("/state", below));
    std::filesystem::create_directories(path("/run", below));
    std::filesystem::create_directories(top_ + "/log");
    dirs = {path("/state", below), path("/run", below), std::string(HASUP_BIN_DIR) + "/hasup-shim"};
  }
  ~home() {
    // Whatever a failed test left: the shims of this home and what runs below them.
    for (const std::string& name : claimed_instances(dirs)) {
      const auto record = read_record(dirs, name);
      if (!record || record->shim_pid <= 1) continue;
      for (const process_id& id : process_tree(record->shim_pid, false)) ::kill(id.pid, SIGKILL);
      ::kill(record->shim_pid, SIGKILL);
    }
    // All shims that this process started end now; the loops that would have waited for them are gone.
    eventually([] {
      pid_t ended = 0;
      do ended = ::waitpid(-1, nullptr, WNOHANG);
      while (ended > 0);
      return ended < 0;
    });
    std::error_code ignored;
    std::filesystem::remove_all(top_, ignored);
  }
  home(const home&) = delete;
  home& operator=(const home&) = delete;

  [[nodiscard]] std::string log(const std::string& name = "unit") const { return top_ + "/log/" + name + ".log"; }
  [[nodiscard]] const std::string& top() const { return top_; }

  directories dirs;

 private:
  [[nodiscard]] std::string path(const char* folder, const std::string& below) const { return top_ + below + folder; }
  std::string top_;
};

// A log in memory: a flood onto a real disk may meet one that stalls, for which dropping lines is right.
class memory_log {
 public:
  memory_log() {
    char pattern[] = "/dev/shm/hasup-process-XXXXXX";
    const int fd = ::mkstemp(pattern);
    REQUIRE(fd >= 0);
    ::close(fd);
    path = pattern;
  }
  ~memory_log() { ::unlink(path.c_str()); }
  memory_log(const memory_log&) = delete;
  memory_log& operator=(const memory_log&) = delete;

  std::string path;
};

// One client with all events that came, in order.
class driver {
 public:
  explicit driver(const home& h, std::string name = "unit@0")
      : home_(h),
        name_(std::move(name)),
        client(io, h.dirs, name_, [this](const shim_event& e) { events.push_back(e); }) {}

  // Runs the loop until an event of this type has come after those that were waited for before.
  template <class Event>
  Event wait() {
    const auto until = std::chrono::steady_clock::now() + patience;
    for (;;) {
      for (; seen_ < events.size(); ++seen_) {
        if (const auto* event = std::get_if<Event>(&events[seen_])) {
          ++seen_;
          return *event;
        }
      }
      if (std::chrono::steady_clock::now() > until) FAIL("the awaited event did not come");
      io.restart();
      io.run_one_for(std::chrono::milliseconds(200));
    }
  }

  template <class Event>
  [[nodiscard]] std::size_t count() const {
    std::size_t n = 0;
    for (const auto& e : events) n += std::holds_alternative<Event>(e) ? 1 : 0;
    return n;
  }

  void open() {
    client.open();
    wait<shim_connected>();
  }

  [[nodiscard]] run_request request(std::uint64_t run, const std::string& script) const {
    run_request r;
    r.run = run;
    r.argv = {"/bin/sh", "-c", script};
    r.env = {{"PATH", "/usr/bin:/bin"}, {"LANG", "C"}};
    r.log.path = home_.log();
    return r;
  }

  shim_status status() {
    bool answered = false;
    client.refresh_status([&](const shim_status&) { answered = true; });
    const auto until = std::chrono::steady_clock::now() + patience;
    while (!answered) {
      REQUIRE(std::chrono::steady_clock::now() < until);
      io.restart();
      io.run_one_for(std::chrono::milliseconds(200));
    }
    return client.status();
  }

  // Ends the shim in good order; afterwards everything is in the log.
  void finish() {
    client.exit_shim();
    wait<shim_lost>();
  }

 private:
  const home& home_;
  std::string name_;
  std::size_t seen_ = 0;

 public:
  boost::asio::io_context io;
  std::vector<shim_event> events;
  shim_client client;
};

}  // namespace hasup::process::test
