// HTTP and JSON-RPC checks against real servers that answer well, badly and not at all.
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <random>

#include "asking.hpp"
#include "servers.hpp"

using namespace hasup;
using namespace hasup::probe_test;
using Catch::Contains;

namespace {

struct scratch {
  std::string path;
  scratch() {
    char name[] = "/tmp/hasup-probe-XXXXXX";
    path = ::mkdtemp(name);
  }
  ~scratch() { std::filesystem::remove_all(path); }
};

const std::string info = R"({"head_block_num":387721720,"head_block_time":"2026-11-21T01:02:02.500"})";

model::check antelope(const std::string& url) {
  auto c = http(url);
  c.head = {"/head_block_num", "/head_block_time", "", model::time_format::rfc3339};
  return c;
}

}  // namespace

TEST_CASE("an answer is read, judged and its connection used again") {
  server s(always(http_answer(info)));
  asker a;
  for (int i = 0; i < 3; ++i) {
    const auto r = a.ask(antelope(s.url("/v1/chain/get_info")));
    CHECK(told(r) == "passed: passed");
    REQUIRE(r.head);
    CHECK(r.head->number == 387721720U);
    REQUIRE(r.checks.size() == 1);
    CHECK(r.checks[0].latency.count() > 0);
  }
  CHECK(s.connections() == 1);
}

TEST_CASE("a kept connection that the server closed is replaced without a failure") {
  server s([](peer& p) {
    if (!p.request().empty()) p.send(http_answer("{}"));
  });
  asker a;
  for (int i = 0; i < 5; ++i) CHECK(told(a.ask(http(s.url()))) == "passed: passed");
  CHECK(s.connections() == 5);
}

TEST_CASE("a kept connection that dies with the next request is replaced without a failure") {
  server s([](peer& p) {
    if (!p.request().empty() && p.send(http_answer("{}")) && !p.request().empty()) p.reset();
  });
  asker a;
  CHECK(told(a.ask(http(s.url()))) == "passed: passed");
  CHECK(told(a.ask(http(s.url()))) == "passed: passed");
  CHECK(s.connections() == 2);
}

TEST_CASE("a kept connection serves only its own address and run") {
  server one(always(http_answer("{}"))), other(always(http_answer("", "500 x")));
  asker a;
  CHECK(told(a.ask(http(one.url()))) == "passed: passed");
  CHECK(told(a.ask(http(other.url()))) == "failed: HTTP 500 (expected 200)");
  CHECK(told(a.ask(http(one.url()))) == "passed: passed");
  a.whom.main_pid = ::getpid();
  CHECK(told(a.ask(http(one.url()))) == "passed: passed");
  CHECK(one.connections() == 3);
}

TEST_CASE("the request carries method, body, target and headers") {
  scratch dir;
  const std::string file = dir.path + "/headers";
  std::ofstream(file) << "# token\n\nAuthorization: Bearer s3cret\r\nX-A: from file\n";
  std::mutex mutex;
  std::string seen;
  server s([&](peer& p) {
    const auto r = p.request();
    {
      const std::lock_guard lock(mutex);
      seen = r;
    }
    p.send(http_answer("", "201 Created"));
  });
  asker a;
  auto c = http(s.url("/a/b?x=1%20&y"));
  c.method = "PUT";
  c.body = "{\"k\":1}";
  c.headers = {{"X-A", "unit"}, {"X-B", "b"}};
  c.header_file = file;
  c.status = {200, 201};
  CHECK(told(a.ask(c)) == "passed: passed");
  const std::lock_guard lock(mutex);
  CHECK_THAT(seen, Catch::StartsWith("PUT /a/b?x=1%20&y HTTP/1.1\r\n"));
  CHECK_THAT(seen, Catch::EndsWith("\r\n\r\n{\"k\":1}"));
  CHECK_THAT(seen, Contains("\r\nHost: " + s.place() + "\r\n"));
  CHECK_THAT(seen, Contains("\r\nAuthorization: Bearer s3cret\r\n"));
  CHECK_THAT(seen, Contains("\r\nX-A: from file\r\n") && !Contains("X-A: unit"));
  CHECK_THAT(seen, Contains("\r\nX-B: b\r\n"));
}

TEST_CASE("a request that cannot be made is unknown: nothing was asked") {
  scratch dir;
  asker a;
  auto c = http("http://127.0.0.1:1/");
  c.header_file = dir.path + "/missing";
  CHECK(told(a.ask(c)) == "unknown: header_file " + dir.path + "/missing: No such file or directory");
  std::ofstream(dir.path + "/bad") << "A: b\nsecret without colon\n";
  c.header_file = dir.path + "/bad";
  CHECK(told(a.ask(c)) == "unknown: " + dir.path + "/bad:2: bad header line; write \"Name: value\"");
  REQUIRE(::mkfifo((dir.path + "/pipe").c_str(), 0600) == 0);
  c.header_file = dir.path + "/pipe";
  CHECK(told(a.ask(c)) == "unknown: header_file " + dir.path + "/pipe is not a regular file");
  c = http("http://127.0.0.1:1/");
  c.headers = {{"X", "a\r\nEvil: 1"}};
  CHECK(told(a.ask(c)) == "unknown: headers: bad header line \"X\"");
  c.headers.clear();
  c.method = "GET /";
  CHECK(a.ask(c).out == probe::outcome::unknown);
  for (const char* url :
       {"", "ftp://x/", "http://", "http://u:p@h/", "http://h:0/", "127.0.0.1:1", "unix:x", "unix:/x:/a b"}) {
    INFO(url);
    CHECK(a.ask(http(url)).out == probe::outcome::unknown);
  }
  CHECK_THAT(told(a.ask(http("http://u:pw@h/p?key=pw"))),
             Contains("\"http://…@h/p?…\" holds a user name") && !Contains("pw"));
  CHECK_THAT(told(a.ask(http("http://u:p w@h/"))), Contains("bad URL \"http://…@h/\""));
  CHECK(told(a.ask(model::probe{})) == "unknown: the probe has no checks");
}

TEST_CASE("refused, wrong status and redirects fail with what was seen") {
  asker a;
  std::uint16_t closed = 0;
  {
    const base::unique_fd fd(listen_on_loopback());
    closed = port_of(fd.get());
  }
  const std::string port = std::to_string(closed);
  CHECK(told(a.ask(http("http://127.0.0.1:" + port))) == "failed: connection refused by 127.0.0.1:" + port);
  CHECK(told(a.ask(http("http://localhost:" + port))) == "failed: connection refused by 127.0.0.1:" + port);
  server down(always(http_answer("busy", "503 Service Unavailable")));
  CHECK(told(a.ask(http(down.url()))) == "failed: HTTP 503 (expected 200)");
  server moved(always("HTTP/1.1 301 Moved\r\nLocation: /\r\nContent-Length: 0\r\n\r\n"));
  CHECK(told(a.ask(http(moved.url()))) == "failed: HTTP 301 (expected 200)");
  server broken(always(http_answer(R"({"code":500,"error":{"code":9,"what":"database guard"}})", "500 Internal")));
  auto c = http(broken.url());
  c.status = {200, 204};
  CHECK(told(a.ask(c)) == "failed: HTTP 500 (expected 200, 204): error 9: database guard");
}

TEST_CASE("a server that takes the connection and stays silent fails at the timeout") {
  server s([](peer& p) { p.stall(); });
  asker a;
  CHECK(told(a.ask(probe_of(http(s.url()), 2s))) ==
        "failed: " + s.place() + " took the connection but did not answer within 2s");
}

TEST_CASE("a server that drips its answer fails at the timeout") {
  server s([](peer& p) {
    p.request();
    p.send("HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n");
    while (p.pause(10) && p.send("x")) {
    }
  });
  asker a;
  CHECK(told(a.ask(probe_of(http(s.url()), 2s))) ==
        "failed: the answer of " + s.place() + " was not complete within 2s");
}

TEST_CASE("connections that end early fail with how they ended") {
  asker a;
  server eof([](peer& p) { p.request(); });
  CHECK(told(a.ask(http(eof.url()))) == "failed: " + eof.place() + " closed the connection without an answer");
  server reset([](peer& p) {
    p.request();
    p.reset();
  });
  CHECK(told(a.ask(http(reset.url()))) == "failed: connection reset by " + reset.place());
  server partial([](peer& p) {
    p.request();
    p.send("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"a\"");
  });
  CHECK(told(a.ask(http(partial.url()))) ==
        "failed: " + partial.place() + " closed the connection in the middle of its answer");
  server half_header([](peer& p) {
    p.request();
    p.send("HTTP/1.1 200 OK\r\nConte");
  });
  CHECK(told(a.ask(http(half_header.url()))) ==
        "failed: " + half_header.place() + " closed the connection in the middle of its answer");
  server cut_chunk([](peer& p) {
    p.request();
    p.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nff\r\n{\"a\":");
  });
  CHECK(a.ask(http(cut_chunk.url())).out == probe::outcome::failed);
}

TEST_CASE("what is no HTTP fails") {
  asker a;
  server s(always("SSH-2.0-OpenSSH_9.2\r\n"));
  CHECK_THAT(told(a.ask(http(s.url()))),
             Catch::StartsWith("failed: " + s.place() + " did not answer as HTTP does: "));
  server long_header(always("HTTP/1.1 200 OK\r\nX: " + std::string(100'000, 'x') + "\r\n\r\n"));
  CHECK(told(a.ask(http(long_header.url()))) ==
        "failed: the header of " + long_header.place() + " is larger than 64 KiB");
}

TEST_CASE("an answer over 1 MiB fails unless only its status is asked") {
  asker a;
  server announced(always(http_answer(std::string(2'000'000, ' '))));
  auto c = antelope(announced.url());
  CHECK(told(a.ask(c)) == "failed: the answer of " + announced.place() + " is larger than 1 MiB");
  CHECK(told(a.ask(http(announced.url()))) == "passed: passed");
  server endless([](peer& p) {
    p.request();
    p.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
    const std::string chunk = "1000\r\n" + std::string(4096, ' ') + "\r\n";
    while (p.send(chunk)) {
    }
  });
  CHECK(told(a.ask(antelope(endless.url()))) == "failed: the answer of " + endless.place() + " is larger than 1 MiB");
}

TEST_CASE("chunked answers, answers ended by the connection and interim answers are read") {
  asker a;
  server chunked(
      always("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n7\r\n{\"ok\":t\r\n4\r\nrue}\r\n0\r\n\r\n"));
  auto c = http(chunked.url());
  c.expect = {expectation_of("/ok", "true")};
  CHECK(told(a.ask(c)) == "passed: passed");
  CHECK(told(a.ask(c)) == "passed: passed");
  CHECK(chunked.connections() == 1);
  server old([](peer& p) {
    p.request();
    p.send("HTTP/1.0 200 OK\r\n\r\n{\"ok\":true}");
  });
  c.url = old.url();
  CHECK(told(a.ask(c)) == "passed: passed");
  server interim(always("HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + http_answer("{\"ok\":true}")));
  c.url = interim.url();
  CHECK(told(a.ask(c)) == "passed: passed");
  server head(always("HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n"));
  c = http(head.url());
  c.method = "HEAD";
  CHECK(told(a.ask(c)) == "passed: passed");
  CHECK(told(a.ask(c)) == "passed: passed");
}

TEST_CASE("wrong content fails with what it is") {
  asker a;
  server html(always(http_answer("<html><body>Welcome to nginx!</body></html>")));
  CHECK_THAT(told(a.ask(antelope(html.url()))), Contains("the answer is not JSON") && Contains("Welcome to nginx!"));
  server empty(always(http_answer("")));
  CHECK(told(a.ask(antelope(empty.url()))) == "failed: the answer is empty, not JSON");
}

TEST_CASE("a pattern is held against the body of an answer") {
  server s(always(http_answer("<html>chain-co is fine</html>")));
  asker a;
  auto c = http(s.url());
  c.body_matches = "is fine";
  CHECK(told(a.ask(c)) == "passed: passed");
  c.body_matches = "^fine$";
  CHECK(told(a.ask(c)) == "failed: the answer is <html>chain-co is fine</html> (expected to match ^fine$)");
  server large(always(http_answer(std::string(1024 * 1024 + 1, 'x'))));
  c.url = large.url();
  CHECK(told(a.ask(c)) == "failed: the answer of " + large.place() + " is larger than 1 MiB");
}

TEST_CASE("random bytes as an answer never do harm") {
  std::mt19937 random(11);  // NOLINT: the same every time
  std::mutex mutex;
  server s([&](peer& p) {
    p.request();
    std::string bytes;
    {
      const std::lock_guard lock(mutex);
      bytes.resize(random() % 400);
      for (char& c : bytes) c = static_cast<char>(random());
      if (random() % 2 == 0) {
        bytes = http_answer(bytes);
        if (random() % 2 == 0) bytes[random() % bytes.size()] = static_cast<char>(random());
      }
    }
    p.send(bytes);
  });
  asker a;
  for (int i = 0; i < 200; ++i) {
    const auto r = a.ask(antelope(s.url()));
    CHECK(r.out == probe::outcome::failed);
    CHECK_FALSE(r.reason.empty());
  }
}

TEST_CASE("JSON-RPC is posted and its errors are told") {
  std::mutex mutex;
  std::string seen;
  server s([&](peer& p) {
    for (auto r = p.request(); !r.empty(); r = p.request()) {
      const bool block = r.find("eth_getBlockByNumber") != std::string::npos;
      {
        const std::lock_guard lock(mutex);
        seen = r;
      }
      p.send(http_answer(block ? R"({"jsonrpc":"2.0","id":1,"result":{"number":"0x1f","timestamp":"0x6b01a4aa"}})"
                               : R"({"jsonrpc":"2.0","id":1,"error":{"code":-32601,"message":"no such method"}})"));
    }
  });
  asker a;
  auto c = jsonrpc(s.url(), "eth_getBlockByNumber");
  c.params = R"(["latest",false])";
  c.head = {"/result/number", "/result/timestamp", "", model::time_format::unix};
  const auto r = a.ask(c);
  CHECK(told(r) == "passed: passed");
  REQUIRE(r.head);
  CHECK(r.head->number == 31U);
  CHECK(r.head->time == base::wall_time{std::chrono::seconds{0x6b01a4aa}});
  {
    const std::lock_guard lock(mutex);
    CHECK_THAT(seen, Catch::StartsWith("POST / HTTP/1.1\r\n") && Contains("Content-Type: application/json\r\n"));
    CHECK_THAT(seen, Catch::EndsWith(
                         R"({"jsonrpc":"2.0","id":1,"method":"eth_getBlockByNumber","params":["latest",false]})"));
  }
  CHECK(told(a.ask(jsonrpc(s.url(), "x"))) == "failed: x: error -32601: no such method");
}

TEST_CASE("HTTP over a Unix socket, also with a path too long for one") {
  scratch dir;
  const std::string path = dir.path + "/node.sock";
  server s(always(http_answer(info)), listen_on_unix(path));
  asker a;
  a.whom.main_pid = 1;  // a Unix socket has no port that could be stolen
  CHECK(told(a.ask(antelope("unix:" + path + ":/v1/chain/get_info"))) == "passed: passed");
  const std::string deep = dir.path + "/" + std::string(200, 'd');
  std::filesystem::create_directories(deep);
  std::filesystem::rename(path, deep + "/node.sock");
  CHECK(told(a.ask(antelope("unix:" + deep + "/node.sock:/"))) == "passed: passed");
  CHECK(told(a.ask(http("unix:" + dir.path + "/none:/"))) == "failed: no socket at unix:" + dir.path + "/none");
  CHECK(told(a.ask(http("unix:" + deep + "x/none:/"))) == "failed: no socket at unix:" + deep + "x/none");
}

TEST_CASE("a certificate that nobody vouches for is refused, a known one is taken") {
  scratch dir;
  const auto run = [](const std::string& command) { return std::system((command + " >/dev/null 2>&1").c_str()); };
  const std::string pem = dir.path + "/cert.pem", key = dir.path + "/key.pem";
  REQUIRE(run("openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost -addext "
              "subjectAltName=DNS:localhost,IP:127.0.0.1 -keyout " +
              key + " -out " + pem) == 0);
  const base::unique_fd reserved(listen_on_loopback());
  const std::string script = dir.path + "/server.py";
  std::ofstream(script) << R"(import ssl, sys, http.server
class H(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        self.send_response(200); self.send_header("Content-Length", "11"); self.end_headers(); self.wfile.write(b'{"ok":true}')
    def log_message(self, *a): pass
s = http.server.ThreadingHTTPServer(("127.0.0.1", 0), H)
c = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER); c.load_cert_chain(sys.argv[1], sys.argv[2])
s.socket = c.wrap_socket(s.socket, server_side=True)
print(s.server_address[1], flush=True)
s.serve_forever()
)";
  FILE* server_output = ::popen(("exec python3 " + script + " " + pem + " " + key + " & echo $!; wait").c_str(), "r");
  REQUIRE(server_output != nullptr);
  int first = 0, second = 0;
  REQUIRE(std::fscanf(server_output, "%d %d", &first, &second) == 2);
  const int pid = first, port = second;  // the shell prints its child first
  auto c = http("https://127.0.0.1:" + std::to_string(port) + "/");
  c.expect = {expectation_of("/ok", "true")};
  const std::string place = "127.0.0.1:" + std::to_string(port);
  {
    asker a;
    CHECK_THAT(told(a.ask(c)), Catch::StartsWith("failed: the certificate of " + place + " is not trusted: self"));
  }
  ::setenv("SSL_CERT_FILE", pem.c_str(), 1);
  {
    asker a;
    CHECK(told(a.ask(c)) == "passed: passed");
    CHECK(told(a.ask(c)) == "passed: passed");
    c.url = "https://localhost:" + std::to_string(port) + "/";
    CHECK(told(a.ask(c)) == "passed: passed");
    c.url = "http://127.0.0.1:" + std::to_string(port) + "/";
    CHECK(a.ask(c).out == probe::outcome::failed);
  }
  ::unsetenv("SSL_CERT_FILE");
  ::kill(pid, SIGKILL);
  ::pclose(server_output);
  asker a;
  server plain([](peer& p) { p.send("HTTP/1.1 400 Bad Request\r\n\r\n"); });
  CHECK_THAT(told(a.ask(http("https://" + plain.place() + "/"))),
             Catch::StartsWith("failed: no TLS with " + plain.place()));
}
