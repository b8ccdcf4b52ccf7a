// Websocket checks against servers that speak the protocol well, badly and not at all.
#include <openssl/sha.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <random>

#include "asking.hpp"
#include "base/base64.hpp"
#include "servers.hpp"

using namespace hasup;
using namespace hasup::probe_test;
using Catch::Contains;

namespace {

enum : unsigned char { more = 0, text = 1, binary = 2, closing = 8, ping = 9, pong = 10 };

model::check websocket(const server& s, const std::string& path = "/") {
  model::check c;
  c.kind = model::check_kind::websocket;
  c.url = "ws://" + s.place() + path;
  return c;
}

std::string answer_to(const std::string& request, const std::string& extra = "") {
  const std::string name = "Sec-WebSocket-Key: ";
  if (request.find(name) == std::string::npos) return "";
  const auto at = request.find(name) + name.size();
  const auto key = request.substr(at, request.find("\r\n", at) - at) + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
  unsigned char digest[SHA_DIGEST_LENGTH];
  ::SHA1(reinterpret_cast<const unsigned char*>(key.data()), key.size(), digest);
  const auto accept = base::base64_encode({reinterpret_cast<const char*>(digest), sizeof digest});
  return "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: " +
         accept + "\r\n" + extra + "\r\n";
}

std::string frame(unsigned kind, const std::string& payload, bool last = true) {
  std::string out(1, static_cast<char>((last ? 0x80U : 0U) | kind));
  const auto size = payload.size();
  const int bytes = size < 126 ? 0 : size < 65536 ? 2 : 8;
  out += static_cast<char>(bytes == 0 ? size : bytes == 2 ? 126 : 127);
  for (int i = bytes - 1; i >= 0; --i) out += static_cast<char>(size >> (8 * i));
  return out + payload;
}

struct received {
  unsigned kind = 0;
  std::string payload;
};

// A short frame of a client; nothing at the end.
std::optional<received> next_frame(peer& p) {
  const auto head = p.read(6);
  if (head.size() < 6) return std::nullopt;
  received out;
  out.kind = static_cast<unsigned char>(head[0]) & 0x0FU;
  out.payload = p.read(static_cast<unsigned char>(head[1]) & 0x7FU);
  for (std::size_t i = 0; i < out.payload.size(); ++i)
    out.payload[i] = static_cast<char>(out.payload[i] ^ head[2 + i % 4]);
  return out;
}

// Shakes hands, sends this, and answers a goodbye.
server::script sends(std::string bytes) {
  return [bytes = std::move(bytes)](peer& p) {
    if (!p.send(answer_to(p.request()) + bytes)) return;
    while (const auto f = next_frame(p))
      if (f->kind == closing) p.send(frame(closing, f->payload));
  };
}

const std::string abi =
    R"({"version": "eosio::abi/1.1", "structs": [{"name": "get_status_request_v0", "fields": []}]})";

model::check greeting(const server& s) {
  auto c = websocket(s);
  c.expect.emplace_back();
  c.expect[0].pointer = "/version";
  c.expect[0].matches = "^eosio::abi/";
  return c;
}

}  // namespace

TEST_CASE("a handshake is all that is asked when nothing is sent or expected, and the server is told goodbye") {
  std::mutex mutex;
  std::string seen;
  std::vector<received> frames;
  server s([&](peer& p) {
    const auto request = p.request();
    p.send(answer_to(request));
    const auto f = next_frame(p);
    const std::lock_guard lock(mutex);
    seen = request;
    if (f) frames.push_back(*f);
    p.send(frame(closing, "\x03\xe8"));
  });
  asker a;
  auto c = websocket(s, "/feed?x=1");
  c.headers = {{"X-A", "b"}};
  CHECK(told(a.ask(c)) == "passed: passed");
  CHECK(told(a.ask(c)) == "passed: passed");
  CHECK(s.connections() == 2);
  REQUIRE(run_until(a.io, [&] {
    const std::lock_guard lock(mutex);
    return frames.size() == 2;
  }));
  CHECK_THAT(seen, Catch::StartsWith("GET /feed?x=1 HTTP/1.1\r\n") && Contains("\r\nX-A: b\r\n") &&
                       Contains("\r\nHost: " + s.place() + "\r\n") && Contains("\r\nUser-Agent: hasup\r\n"));
  CHECK(frames[0].kind == closing);
  CHECK(frames[0].payload == "\x03\xe8");  // 1000, normal
}

TEST_CASE("the first message is held against what is expected") {
  server s(sends(frame(text, abi)));
  asker a;
  auto r = a.ask(greeting(s));
  CHECK(told(r) == "passed: passed");
  REQUIRE(r.checks.at(0).conditions.size() == 1);
  CHECK(r.checks[0].conditions[0].text == "version is \"eosio::abi/1.1\"");
  CHECK(r.checks[0].latency.count() > 0);
  auto c = greeting(s);
  c.expect[0].matches = "^eosio::abi/2";
  CHECK(told(a.ask(c)) == "failed: version is \"eosio::abi/1.1\" (expected to match ^eosio::abi/2)");
  c.expect.clear();
  c.body_matches = "get_status_request";
  CHECK(told(a.ask(c)) == "passed: passed");
  c.body_matches.reset();
  c.head.number = "/head";
  CHECK(told(a.ask(c)) == "failed: the answer has no /head");
  server other(sends(frame(binary, "\x01\x02")));
  CHECK_THAT(told(a.ask(greeting(other))), Catch::StartsWith("failed: the answer is not JSON"));
}

TEST_CASE("a message in pieces is put together, pings in between are answered") {
  std::atomic<int> pongs{0};
  server s([&](peer& p) {
    p.send(answer_to(p.request()) + frame(text, abi.substr(0, 10), false) + frame(ping, "hello"));
    const auto f = next_frame(p);
    if (f && f->kind == pong && f->payload == "hello") ++pongs;
    p.send(frame(more, abi.substr(10)));
    next_frame(p);
  });
  asker a;
  CHECK(told(a.ask(greeting(s))) == "passed: passed");
  CHECK(pongs == 1);
}

TEST_CASE("what is sent is answered, an error in the answer is told") {
  std::mutex mutex;
  std::string asked;
  std::string answer = R"({"jsonrpc":"2.0","id":1,"result":"0x10"})";
  server s([&](peer& p) {
    p.send(answer_to(p.request()));
    const auto f = next_frame(p);
    const std::lock_guard lock(mutex);
    if (f && f->kind == text) asked = f->payload;
    p.send(frame(text, answer));
  });
  asker a;
  auto c = websocket(s);
  c.send = R"({"jsonrpc":"2.0","id":1,"method":"eth_blockNumber","params":[]})";
  CHECK(told(a.ask(c)) == "passed: passed");
  c.head.number = "/result";
  auto r = a.ask(c);
  REQUIRE(r.head);
  CHECK(r.head->number == 16U);
  {
    const std::lock_guard lock(mutex);
    CHECK(c.send == asked);
    answer = R"({"error":{"code":-32601,"message":"the method does not exist"}})";
  }
  CHECK(told(a.ask(c)) == "failed: error -32601: the method does not exist");
}

TEST_CASE("a server that declines the websocket fails with what it said") {
  asker a;
  server missing(always(http_answer(R"({"error":"no such path"})", "404 Not Found")));
  CHECK(told(a.ask(websocket(missing))) == "failed: HTTP 404 instead of a websocket: error no such path");
  server page(always(http_answer("<html>")));
  CHECK(told(a.ask(websocket(page))) == "failed: HTTP 200 instead of a websocket");
  server wrong([](peer& p) {
    p.request();
    p.send(answer_to("Sec-WebSocket-Key: another\r\n"));
    p.stall();
  });
  CHECK_THAT(told(a.ask(websocket(wrong))), Contains("did not answer the websocket handshake"));
  server other(always("220 mail.example.com ESMTP\r\n"));
  CHECK_THAT(told(a.ask(websocket(other))), Contains("did not answer the websocket handshake"));
}

TEST_CASE("the subprotocol must be agreed to") {
  std::atomic<bool> asked{false};
  std::mutex mutex;
  std::string agreed;
  const auto agree = [&](const std::string& to) {
    const std::lock_guard lock(mutex);
    agreed = to;
  };
  server s([&](peer& p) {
    const auto request = p.request();
    const std::lock_guard lock(mutex);
    asked = request.find("\r\nSec-WebSocket-Protocol: graphql-ws\r\n") != std::string::npos;
    p.send(answer_to(request, agreed.empty() ? "" : "Sec-WebSocket-Protocol: " + agreed + "\r\n"));
  });
  asker a;
  auto c = websocket(s);
  c.subprotocol = "graphql-ws";
  const auto bad = "failed: " + s.place() + " did not agree to the subprotocol graphql-ws";
  CHECK(told(a.ask(c)) == bad);
  CHECK(asked);
  agree("mqtt");
  CHECK(told(a.ask(c)) == bad + ", but to mqtt");
  agree("graphql-ws");
  CHECK(told(a.ask(c)) == "passed: passed");
}

TEST_CASE("silence fails at the timeout and says at which point") {
  asker a;
  server mute([](peer& p) { p.stall(); });
  CHECK(told(a.ask(probe_of(websocket(mute), 300ms))) ==
        "failed: " + mute.place() + " took the connection but did not answer the websocket handshake within 300ms");
  server shy([](peer& p) {
    p.send(answer_to(p.request()));
    p.stall();
  });
  CHECK(told(a.ask(probe_of(greeting(shy), 300ms))) == "failed: " + shy.place() + " sent no message within 300ms");
}

TEST_CASE("a server that says no goodbye does not hold up the verdict") {
  server s([](peer& p) {
    p.send(answer_to(p.request()) + frame(text, abi));
    p.stall();
  });
  asker a;
  CHECK(told(a.ask(greeting(s))) == "passed: passed");
}

TEST_CASE("a websocket that ends before its message fails with how it ended") {
  asker a;
  server polite([](peer& p) {
    p.send(answer_to(p.request()) + frame(closing, "\x03\xf0not for you"));
    p.stall();
  });
  CHECK(told(a.ask(greeting(polite))) ==
        "failed: " + polite.place() + " closed the websocket before it sent a message with code 1008: not for you");
  server rude([](peer& p) { p.send(answer_to(p.request())); });
  CHECK(told(a.ask(greeting(rude))) == "failed: " + rude.place() + " closed the connection before it sent a message");
  server gone([](peer& p) { p.request(); });
  CHECK(told(a.ask(greeting(gone))) == "failed: " + gone.place() + " closed the connection without an answer");
  server reset([](peer& p) {
    p.request();
    p.reset();
  });
  CHECK(told(a.ask(greeting(reset))) == "failed: connection reset by " + reset.place());
}

TEST_CASE("what is too large is not taken into memory") {
  asker a;
  const auto endless = [](std::string first, std::string rest) {
    return [first = std::move(first), rest = std::move(rest)](peer& p) {
      p.send(answer_to(p.request()) + first);
      while (p.send(rest)) {
      }
    };
  };
  const auto large = [](const server& s) { return "failed: the answer of " + s.place() + " is larger than 1 MiB"; };
  server one(endless(frame(text, std::string(1024 * 1024 + 1, 'x')), "x"));
  CHECK(told(a.ask(greeting(one))) == large(one));
  server pieces(endless(frame(text, "x", false), frame(more, std::string(60000, 'x'), false)));
  CHECK(told(a.ask(greeting(pieces))) == large(pieces));
  server page([](peer& p) {
    p.request();
    p.send("HTTP/1.1 200 OK\r\nContent-Length: 5000000\r\n\r\n");
    while (p.send(std::string(60000, 'x'))) {
    }
  });
  CHECK(told(a.ask(greeting(page))) == large(page));
  server header([](peer& p) {
    p.request();
    p.send("HTTP/1.1 101 x\r\n");
    while (p.send("X-A: " + std::string(1000, 'x') + "\r\n")) {
    }
  });
  CHECK_THAT(told(a.ask(greeting(header))), Contains("did not answer the websocket handshake"));
  server fits(sends(frame(text, "\"" + std::string(1024 * 1024 - 2, 'x') + "\"")));
  auto c = websocket(fits);
  c.body_matches = "xxx\"$";
  CHECK(told(a.ask(c)) == "passed: passed");
}

TEST_CASE("random bytes in place of frames never do harm") {
  std::mt19937 random(7);  // NOLINT: the same every time
  std::mutex mutex;
  server s([&](peer& p) {
    std::string bytes;
    {
      const std::lock_guard lock(mutex);
      bytes.resize(random() % 300);
      for (char& c : bytes) c = static_cast<char>(random());
    }
    p.send(answer_to(p.request()) + bytes);
  });
  asker a;
  for (int i = 0; i < 150; ++i) CHECK(a.ask(greeting(s)).out == probe::outcome::failed);
}

TEST_CASE("what cannot be asked is unknown") {
  server s(sends(""));
  asker a;
  auto c = websocket(s);
  c.headers = {{"upgrade", "h2c"}};
  CHECK(told(a.ask(c)) == "unknown: headers: \"upgrade\" belongs to the handshake itself");
  c = websocket(s);
  c.url = "http://" + s.place();
  CHECK_THAT(told(a.ask(c)), Catch::StartsWith("unknown: bad URL") && Contains("write ws://HOST:PORT/PATH, wss://…"));
  CHECK(s.connections() == 0);
}

TEST_CASE("a stranger's websocket is not the unit's") {
  const pid_t unit = ::fork();  // before the server: it would have its socket, too
  if (unit == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    while (true) ::pause();
  }
  server s(sends(""));
  asker a;
  a.whom.main_pid = unit;
  CHECK_THAT(told(a.ask(websocket(s))), Contains("belongs to"));
  auto c = websocket(s);
  c.owner = model::port_owner::any;
  CHECK(told(a.ask(c)) == "passed: passed");
  ::kill(unit, SIGKILL);
  ::waitpid(unit, nullptr, 0);
}

TEST_CASE("a websocket on a Unix socket") {
  char name[] = "/tmp/hasup-probe-XXXXXX";
  const std::string folder = ::mkdtemp(name);
  {
    server s(sends(frame(text, abi)), listen_on_unix(folder + "/ship.sock"));
    asker a;
    auto c = greeting(s);
    c.url = "unix:" + folder + "/ship.sock:/";
    CHECK(told(a.ask(c)) == "passed: passed");
  }
  std::filesystem::remove_all(folder);
}

TEST_CASE("a check that is cancelled at any time is quiet") {
  server s(sends(frame(text, abi)));
  for (int steps = 0; steps < 40; ++steps) {
    asker a;
    bool answered = false;
    auto handle = a.prober.start(probe_of(greeting(s)), a.whom, a.session, [&](const auto&) { answered = true; });
    for (int i = 0; i < steps && !answered; ++i) a.io.run_one_for(20ms);
    const bool before = answered;
    handle.cancel();
    a.io.run_for(2ms);
    CHECK(answered == before);
  }
}
