// Asks a probe and runs the loop until it answers.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <catch2/catch.hpp>
#include <chrono>
#include <optional>
#include <string>

#include "probe/prober.hpp"

namespace hasup::probe_test {

using namespace std::chrono_literals;

// Runs the loop until `done`; the limit only ends a test that would hang.
template <class Done>
bool run_until(boost::asio::io_context& io, Done done) {
  const auto limit = std::chrono::steady_clock::now() + 60s;
  io.restart();
  while (!done()) {
    if (std::chrono::steady_clock::now() > limit) return false;
    if (io.run_one_for(100ms) == 0) io.restart();
  }
  return true;
}

inline model::probe probe_of(model::check c, base::duration timeout = 30s) {
  model::probe p;
  p.checks = {std::move(c)};
  p.timeout = timeout;
  return p;
}

inline model::check http(std::string url) {
  model::check c;
  c.kind = model::check_kind::http;
  c.url = std::move(url);
  return c;
}

inline model::check jsonrpc(std::string url, std::string method) {
  model::check c = http(std::move(url));
  c.kind = model::check_kind::jsonrpc;
  c.method = std::move(method);
  return c;
}

inline model::check tcp(std::string address) {
  model::check c;
  c.kind = model::check_kind::tcp;
  c.address = std::move(address);
  return c;
}

inline model::expectation expectation_of(std::string pointer, std::string equals) {
  model::expectation e;
  e.pointer = std::move(pointer);
  e.equals = std::move(equals);
  return e;
}

struct asker {
  boost::asio::io_context io;
  probe::prober prober;
  probe::session session;
  probe::target whom;

  explicit asker(probe::exec_runner runner = {}) : prober(io, std::move(runner)) {}

  probe::probe_result ask(const model::probe& p) {
    std::optional<probe::probe_result> got;
    const auto handle = prober.start(p, whom, session, [&got](probe::probe_result r) { got = std::move(r); });
    REQUIRE_FALSE(got);  // never from inside start
    REQUIRE(run_until(io, [&got] { return got.has_value(); }));
    return *got;
  }
  probe::probe_result ask(const model::check& c) { return ask(probe_of(c)); }
};

// For comparisons in one line: "failed: HTTP 503 (expected 200)".
inline std::string told(const probe::probe_result& r) {
  return std::string(probe::outcome_names.text(r.out)) + ": " + r.reason;
}

}  // namespace hasup::probe_test
