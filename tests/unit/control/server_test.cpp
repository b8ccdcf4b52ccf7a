// The control server on a real Unix socket: answers, limits, malformed input, followers.
#include <sys/stat.h>

#include <catch2/catch.hpp>

#include "control/command.hpp"
#include "server_harness.hpp"
#include "show_result.hpp"

using namespace hasup;
using namespace hasup::control;
using namespace hasup::control::testing;

namespace {

host_status two_units() {
  host_status s;
  s.host = "vm11";
  s.units.resize(2);
  s.units[0].unit = "leap";
  s.units[1].unit = "evm-node";
  return s;
}

std::string ask_raw(const running_server& s, std::string_view request) {
  raw_connection c(s.directory);
  c.send(request);
  return c.receive("}");
}

}  // namespace

TEST_CASE("status, units and logs are answered") {
  running_server s;
  s.on_loop([&] { s.of.now = two_units(); });
  const client c(s.directory);
  const auto status = c.status();
  REQUIRE(status);
  CHECK(*status == two_units());
  CHECK(decode_instance(c.get("/v1/units/leap")->body)->unit == "leap");
  const auto unknown = c.get("/v1/units/lep");
  REQUIRE_FALSE(unknown);
  CHECK(unknown.error().code == exit_code::no_such_unit);
  CHECK(unknown.error().message == "no unit \"lep\"");
  CHECK(c.get("/v1/logs/leap?n=7")->body == "lines 7\n");
  CHECK(c.get("/v1/logs/other").error().code == exit_code::no_such_unit);
}

TEST_CASE("a command reaches the service with who asked, and its answer comes back") {
  running_server s;
  s.on_loop([&] { s.of.reply = {exit_code::done, "stopping leap", {"evm-node@0", "leap@0"}, R"({"x":1})"}; });
  const client c(s.directory);
  const auto r = c.execute({"stop", {"leap"}, false, {{"no_kill", "true"}}});
  REQUIRE(r);
  CHECK(r->message == "stopping leap");
  CHECK(r->affected == std::vector<std::string>{"evm-node@0", "leap@0"});
  CHECK(r->body == R"({"x":1})");
  s.on_loop([&] {
    CHECK(s.of.last.verb == "stop");
    CHECK(s.of.last.options.at("no_kill") == "true");
    CHECK(s.of.last_peer.uid == ::getuid());
    CHECK(s.of.last_peer.pid == ::getpid());
  });
  REQUIRE(c.post("/v1/units/leap/recover", R"({"options":{"plan":"full set","dry_run":true}})"));
  s.on_loop([&] {
    CHECK(s.of.last.verb == "recover");
    CHECK(s.of.last.targets == std::vector<std::string>{"leap"});
    CHECK(s.of.last.options.at("dry_run") == "true");
  });
  REQUIRE(c.post("/v1/stop_all", ""));
  s.on_loop([&] { CHECK(s.of.last.all); });
}

TEST_CASE("a refusal keeps its exit code and message over the socket") {
  running_server s;
  const client c(s.directory);
  for (const auto code : {exit_code::failed, exit_code::usage, exit_code::no_such_unit,
                          exit_code::invalid_configuration, exit_code::permission_denied}) {
    s.on_loop([&] { s.of.reply = {code, "because", {}, {}}; });
    const auto r = c.execute({"start", {"leap"}, false, {}});
    REQUIRE(r);
    CHECK(r->code == code);
    CHECK(r->message == "because");
    const auto posted = c.post("/v1/units/leap/start", "");
    REQUIRE_FALSE(posted);
    CHECK(posted.error().message == "because");
    CHECK(posted.error().code == code);
  }
}

TEST_CASE("an answer may come later, also after the asker has gone, and other requests do not wait for it") {
  running_server s;
  const client c(s.directory);
  client_result<command_reply> answer = client_error{};
  std::thread asker([&] { answer = c.execute({"later", {}, false, {}}); });
  REQUIRE(s.eventually([&] { return static_cast<bool>(s.of.parked); }));
  CHECK(c.status());
  s.on_loop([&] {
    auto done = std::exchange(s.of.parked, nullptr);
    done({exit_code::done, "at last", {}, {}});
    done({exit_code::done, "twice is ignored", {}, {}});
  });
  asker.join();
  REQUIRE(answer);
  CHECK(answer->message == "at last");
  {
    raw_connection gone(s.directory);
    gone.send("POST /v1/commands HTTP/1.1\r\nHost: x\r\nContent-Length: 16\r\n\r\n{\"verb\":\"later\"}");
    REQUIRE(s.eventually([&] { return static_cast<bool>(s.of.parked); }));
  }
  s.on_loop([&] { s.of.parked({exit_code::done, "nobody listens", {}, {}}); });
  s.on_loop([&] { s.of.parked = nullptr; });
  CHECK(s.eventually([&] { return s.inner().connections() == 0; }));
}

TEST_CASE("malformed requests are answered with 400 and an error, or closed, and harm nobody") {
  running_server s;
  const char* bad[]{"NONSENSE\r\n\r\n",
                    "GET /v1/status HTTP/9.9\r\n\r\n",
                    "GET /v1/status HTTP/1.1\r\nno colon here\r\n\r\n",
                    "POST /v1/commands HTTP/1.1\r\nContent-Length: abc\r\n\r\n",
                    "POST /v1/commands HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
                    "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
                    "POST /v1/commands HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\n{\"ve",
                    "POST /v1/commands HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}",
                    "POST /v1/units/leap/stop HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n[]",
                    "GET /v1/events?since=x HTTP/1.1\r\nHost: x\r\n\r\n"};
  for (const auto* request : bad) {
    INFO(request);
    const auto reply = ask_raw(s, request);
    CHECK(reply.starts_with("HTTP/1.1 400 "));
    CHECK(reply.find("{\"error\":") != std::string::npos);
  }
  s.on_loop([&] { CHECK(s.of.commands == 0); });
  CHECK(ask_raw(s, "GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n").starts_with("HTTP/1.1 404 "));
  CHECK(ask_raw(s, "PUT /v1/status HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n").starts_with("HTTP/1.1 405 "));
  CHECK(client(s.directory).status());
}

TEST_CASE("a request that is cut off is dropped without an answer") {
  running_server s;
  raw_connection c(s.directory);
  c.send("GET /v1/status HTTP/1.1\r\nHost:");
  c.end_sending();
  CHECK(c.receive().find("200") == std::string::npos);
  CHECK(s.eventually([&] { return s.inner().connections() == 0; }));
}

TEST_CASE("bodies and headers are bounded, and the refusal is readable while the rest is still being sent") {
  running_server s;
  const client c(s.directory);
  const auto big = c.post("/v1/units/leap/stop", std::string((1 << 20) + 1, 'x'));
  REQUIRE_FALSE(big);
  CHECK(big.error().message == "the body is larger than 1048576 bytes");
  const auto huge = c.post("/v1/units/leap/stop", std::string(16 << 20, 'x'));
  REQUIRE_FALSE(huge);
  CHECK(huge.error().message == "the body is larger than 1048576 bytes");
  const auto limit = c.post("/v1/units/leap/stop", std::string(1 << 20, 'x'));
  REQUIRE_FALSE(limit);
  CHECK(limit.error().message.find("is not JSON") != std::string::npos);

  const auto header = ask_raw(s, "GET /v1/status HTTP/1.1\r\nX: " + std::string(20'000, 'x') + "\r\n\r\n");
  CHECK(header.starts_with("HTTP/1.1 431 "));
  s.on_loop([&] { CHECK(s.of.commands == 0); });
}

TEST_CASE("several requests follow each other on one connection") {
  running_server s;
  raw_connection c(s.directory);
  c.send("GET /v1/status HTTP/1.1\r\nHost: x\r\n\r\nGET /v1/units/none HTTP/1.1\r\nHost: x\r\n\r\n");
  const auto both = c.receive("no unit");
  CHECK(both.find("200 OK") != std::string::npos);
  CHECK(both.find("404 Not Found") != std::string::npos);
}

TEST_CASE("who sends nothing is disconnected") {
  server_options o;
  o.idle_timeout = base::duration{50};
  running_server s(o);
  raw_connection c(s.directory);
  CHECK(c.receive().empty());
  raw_connection half(s.directory);
  half.send("POST /v1/commands HTTP/1.1\r\nContent-Length: 100\r\n\r\nhalf");
  CHECK(half.receive().empty());
  CHECK(s.eventually([&] { return s.inner().connections() == 0; }));
}

TEST_CASE("many clients at once are all answered") {
  running_server s;
  s.on_loop([&] { s.of.now = two_units(); });
  std::atomic<int> good = 0;
  std::vector<std::thread> threads;
  for (int t = 0; t < 8; ++t)
    threads.emplace_back([&] {
      const client c(s.directory, base::duration{60'000});
      for (int i = 0; i < 25; ++i)
        if (const auto r = c.status(); r && r->units.size() == 2) ++good;
    });
  for (auto& t : threads) t.join();
  CHECK(good == 200);
}

TEST_CASE("more connections than allowed are turned away with a word") {
  server_options o;
  o.connection_limit = 2;
  running_server s(o);
  raw_connection a(s.directory), b(s.directory);
  REQUIRE(s.eventually([&] { return s.inner().connections() == 2; }));
  raw_connection third(s.directory);
  CHECK(third.receive("}").starts_with("HTTP/1.1 503 "));
}

TEST_CASE("a follower gets what was asked for and what comes, in order and once") {
  running_server s;
  s.publish(1);
  s.publish(2);
  const client c(s.directory);
  auto all = c.follow(1, "");
  auto fresh = c.follow(std::nullopt, "evm-node");
  REQUIRE(all);
  REQUIRE(fresh);
  s.publish(3);
  s.publish(4, "evm-node");
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(60);
  event e;
  for (const std::uint64_t wanted : {2, 3, 4}) {
    REQUIRE(all->next(e, deadline) == event_stream::outcome::event);
    CHECK(e.seq == wanted);
  }
  REQUIRE(fresh->next(e, deadline) == event_stream::outcome::event);
  CHECK(e.seq == 4);
  CHECK(all->next(e, std::chrono::steady_clock::now()) == event_stream::outcome::timeout);
  s.on_loop([&] { s.inner().close(); });
  CHECK(all->next(e, deadline) == event_stream::outcome::closed);
}

TEST_CASE("events without follow are the newest, oldest first, filtered before they are counted") {
  running_server s;
  for (std::uint64_t i = 1; i <= 20; ++i) s.publish(i, i % 2 ? "leap" : "evm-node");
  const client c(s.directory);
  const auto last = c.events(0, 3, "leap");
  REQUIRE(last);
  REQUIRE(last->size() == 3);
  CHECK((*last)[0].seq == 15);
  CHECK((*last)[2].seq == 19);
  CHECK(c.events(18, 100, "")->size() == 2);
}

TEST_CASE("a follower that does not read is dropped, and others get everything") {
  running_server s;
  raw_connection slow(s.directory);
  slow.send("GET /v1/events?follow=1 HTTP/1.1\r\nHost: x\r\n\r\n");
  const client c(s.directory);
  auto quick = c.follow(std::nullopt, "");
  REQUIRE(quick);
  REQUIRE(s.eventually([&] { return s.inner().connections() == 2; }));
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(60);
  event e;
  std::uint64_t sent = 0;
  // More than the kernel and the queue hold together.
  while (s.connections() == 2 && sent < 20'000) {
    s.publish(++sent, "leap", 2000);
    REQUIRE(quick->next(e, deadline) == event_stream::outcome::event);
    REQUIRE(e.seq == sent);
  }
  CHECK(s.connections() == 1);
  CHECK(sent > 1000);
  const auto what_it_got = slow.receive();
  CHECK(what_it_got.find("id: 1\n") != std::string::npos);
  CHECK(what_it_got.find("id: " + std::to_string(sent) + "\n") == std::string::npos);
  s.publish(++sent);
  REQUIRE(quick->next(e, deadline) == event_stream::outcome::event);
  CHECK(e.seq == sent);
}

TEST_CASE("a follower that takes nothing for too long is dropped, even with few events") {
  server_options o;
  o.keep_alive = base::duration{10};
  o.idle_timeout = base::duration{100};
  running_server s(o);
  raw_connection slow(s.directory);
  slow.send("GET /v1/events?follow=1 HTTP/1.1\r\nHost: x\r\n\r\n");
  REQUIRE(s.eventually([&] { return s.inner().connections() == 1; }));
  s.publish(1, "leap", 4 << 20);
  CHECK(s.eventually([&] { return s.inner().connections() == 0; }));
}

TEST_CASE("a quiet stream is kept alive, and its end is noticed") {
  server_options o;
  o.keep_alive = base::duration{10};
  running_server s(o);
  {
    raw_connection c(s.directory);
    c.send("GET /v1/events?follow=1 HTTP/1.1\r\nHost: x\r\n\r\n");
    CHECK(c.receive(": alive\n\n: alive\n\n").find("text/event-stream") != std::string::npos);
  }
  CHECK(s.eventually([&] { return s.inner().connections() == 0; }));
}

TEST_CASE("over a change of servers the socket refuses nobody, and who came in between is answered by the next one") {
  running_server s;
  std::optional<raw_connection> asker(s.directory);
  asker->send("POST /v1/commands HTTP/1.1\r\nContent-Length: 16\r\n\r\n{\"verb\":\"later\"}");
  REQUIRE(s.eventually([&] { return s.of.parked != nullptr; }));
  s.on_loop([&] { s.inner().pause(); });
  raw_connection early(s.directory);
  early.send("GET /v1/status HTTP/1.1\r\nConnection: close\r\n\r\n");
  // Whoever had asked before still gets an answer.
  s.on_loop([&] {
    CHECK(s.inner().unanswered() == 1);
    s.of.parked({exit_code::done, "late", {}, {}});
  });
  CHECK(asker->receive("late").find("200 OK") != std::string::npos);
  REQUIRE(s.eventually([&] { return s.inner().unanswered() == 0; }));
  base::unique_fd listening;
  s.on_loop([&] { listening = s.inner().hand_over(); });
  REQUIRE(listening);
  CHECK(asker->receive().empty());
  raw_connection later(s.directory);
  later.send("GET /v1/status HTTP/1.1\r\nConnection: close\r\n\r\n");

  fake_service second;
  second.now.version = "the next one";
  boost::asio::io_context io;
  server_options options;
  options.directory = s.directory;
  auto next = server::open(io, options, second, std::move(listening));
  REQUIRE(next);
  std::thread running([&] { io.run(); });
  CHECK(early.receive().find("the next one") != std::string::npos);
  CHECK(later.receive().find("the next one") != std::string::npos);
  boost::asio::post(io, [&] { (*next)->close(); });
  running.join();
}

TEST_CASE("the directory of the socket may be longer than a socket address, and a stale socket is replaced") {
  std::string below;
  for (int i = 0; i < 12; ++i) below += "/" + std::string(100, static_cast<char>('a' + i));
  running_server first({}, below);
  CHECK(client(first.directory).status());
  const auto path = first.directory + "/hasupd.sock";
  struct stat st {};
  REQUIRE(::stat(path.c_str(), &st) == 0);
  CHECK((st.st_mode & 0777) == 0600);
  first.on_loop([&] { first.inner().close(); });
  CHECK(::stat(path.c_str(), &st) != 0);

  boost::asio::io_context io;
  server_options o;
  o.directory = first.directory;
  o.mode = 0660;
  fake_service of;
  auto stale = server::open(io, o, of);
  REQUIRE(stale);
  auto again = server::open(io, o, of);  // its lock would forbid it in the daemon; here it takes the place
  REQUIRE(again);
  REQUIRE(::stat(path.c_str(), &st) == 0);
  CHECK((st.st_mode & 0777) == 0660);
}

TEST_CASE("a directory that is not there is an error with its name") {
  boost::asio::io_context io;
  server_options o;
  o.directory = "/tmp/hasup-none/such";
  fake_service of;
  const auto s = server::open(io, o, of);
  REQUIRE_FALSE(s);
  CHECK(s.error().message.find("/tmp/hasup-none/such") != std::string::npos);
}
