// The prober itself: several checks, cancelling, timeouts, names, TCP and exec.
#include "probe/prober.hpp"

#include <sys/resource.h>

#include <array>
#include <filesystem>

#include "asking.hpp"
#include "servers.hpp"

using namespace hasup;
using namespace hasup::probe_test;
using probe::outcome;

TEST_CASE("a probe passes when all its checks pass and asks them at once") {
  // Each waits for the other two, so asking one after the other would never end.
  std::atomic<int> waiting{0};
  const auto together = [&waiting](peer& p) {
    p.request();
    ++waiting;
    while (waiting < 3 && p.pause(1)) {
    }
    p.send(http_answer("{\"n\":1}"));
  };
  server a(together), b(together), c(together);
  asker as;
  model::probe p;
  p.timeout = 30s;
  p.checks = {http(a.url()), http(b.url()), http(c.url())};
  p.checks[1].head.number = "/n";
  p.checks[2].head.time = "/n";
  p.checks[2].head.format = model::time_format::unix;
  const auto r = as.ask(p);
  CHECK(told(r) == "passed: passed");
  CHECK(r.checks.size() == 3);
  REQUIRE(r.head);
  CHECK(r.head->number == 1U);
  CHECK(r.head->time == base::wall_time{1s});
}

TEST_CASE("a failed check outweighs an unknown one, and the first failed one gives the reason") {
  server good(always(http_answer("{}"))), bad(always(http_answer("", "500 x"))),
      worse(always(http_answer("", "502 x")));
  asker a;
  model::probe p;
  p.timeout = 30s;
  p.checks = {http(good.url()), http("nonsense"), http(bad.url()), http(worse.url())};
  auto r = a.ask(p);
  CHECK(told(r) == "failed: HTTP 500 (expected 200)");
  CHECK(r.checks[0].out == outcome::passed);
  CHECK(r.checks[1].out == outcome::unknown);
  CHECK(r.checks[3].reason == "HTTP 502 (expected 200)");
  p.checks = {http(good.url()), http("nonsense")};
  CHECK(a.ask(p).out == outcome::unknown);
}

TEST_CASE("a destroyed handle drops the handler and closes the connection") {
  std::atomic<bool> closed{false};
  server s([&closed](peer& p) {
    p.request();
    p.stall();
    closed = true;
  });
  asker a;
  bool called = false;
  {
    auto handle =
        a.prober.start(probe_of(http(s.url())), a.whom, a.session, [&](probe::probe_result) { called = true; });
    REQUIRE(run_until(a.io, [&s] { return s.connections() == 1; }));
    probe::prober::handle moved = std::move(handle);
  }
  REQUIRE(run_until(a.io, [&closed] { return closed.load(); }));
  a.io.run_for(10ms);
  CHECK_FALSE(called);
  // Before it even began.
  {
    const auto handle = a.prober.start(probe_of(http(s.url())), a.whom, [&](probe::probe_result) { called = true; });
  }
  a.io.run_for(10ms);
  CHECK_FALSE(called);
  CHECK(s.connections() == 1);
}

TEST_CASE("the handler may destroy its own handle and start the next asking") {
  server s(always(http_answer("{}")));
  asker a;
  probe::prober::handle handle;
  int count = 0;
  std::function<void()> next = [&] {
    handle = a.prober.start(probe_of(http(s.url())), a.whom, a.session, [&](const probe::probe_result& r) {
      CHECK(r.out == outcome::passed);
      if (++count < 20) {
        next();
      } else {
        handle = {};
      }
    });
  };
  next();
  CHECK(run_until(a.io, [&] { return count == 20; }));
  CHECK(s.connections() == 1);
}

TEST_CASE("many who begin together are spread evenly over the interval") {
  boost::asio::io_context io;
  probe::prober p(io);
  std::array<int, 20> in_slot{};
  for (int i = 0; i < 200; ++i) {
    const auto wait = p.next_phase(1s);
    REQUIRE(wait > 0s);
    REQUIRE(wait <= 1s);
    ++in_slot[static_cast<std::size_t>((wait.count() - 1) * 20 / base::duration(1s).count())];
  }
  for (const auto n : in_slot) CHECK((n >= 8 && n <= 12));
}

TEST_CASE("two askings in one session do not disturb each other") {
  server s(always(http_answer("{}")));
  asker a;
  int passed = 0;
  const auto count = [&passed](const probe::probe_result& r) { passed += r.out == outcome::passed; };
  const auto one = a.prober.start(probe_of(http(s.url())), a.whom, a.session, count);
  const auto two = a.prober.start(probe_of(http(s.url())), a.whom, a.session, count);
  CHECK(run_until(a.io, [&passed] { return passed == 2; }));
}

TEST_CASE("a prober may go before its handles and sessions") {
  server s([](peer& p) { p.stall(); });
  boost::asio::io_context io;
  probe::session session;
  probe::prober::handle handle;
  bool called = false;
  {
    probe::prober prober(io);
    handle =
        prober.start(probe_of(http(s.url()), 50ms), {}, session, [&called](probe::probe_result) { called = true; });
  }
  CHECK(run_until(io, [&called] { return called; }));
}

TEST_CASE("what passes slowly because the prober was held up is unknown, not failed") {
  server s([](peer& p) { p.stall(); });
  asker a;
  std::optional<probe::probe_result> got;
  const auto handle =
      a.prober.start(probe_of(http(s.url()), 50ms), a.whom, [&got](probe::probe_result r) { got = std::move(r); });
  REQUIRE(a.io.run_one() == 1);         // it begins
  std::this_thread::sleep_for(1200ms);  // and nobody runs the loop
  REQUIRE(run_until(a.io, [&got] { return got.has_value(); }));
  CHECK_THAT(told(*got), Catch::StartsWith("unknown: the prober itself was held up for "));
}

TEST_CASE("TCP checks connect to names, numbers and Unix sockets") {
  server s([](peer& p) { p.stall(); });
  asker a;
  CHECK(told(a.ask(tcp(s.place()))) == "passed: passed");
  CHECK(told(a.ask(tcp("localhost:" + std::to_string(s.port())))) == "passed: passed");
  char dir[] = "/tmp/hasup-probe-XXXXXX";
  REQUIRE(::mkdtemp(dir) != nullptr);
  const std::string path = std::string(dir) + "/s";
  {
    server u([](peer& p) { p.stall(); }, listen_on_unix(path));
    CHECK(told(a.ask(tcp("unix:" + path))) == "passed: passed");
  }
  CHECK(told(a.ask(tcp("unix:" + path))) == "failed: connection refused by unix:" + path);
  std::filesystem::remove_all(dir);
  for (const char* bad : {"", "x", ":1", "h:", "h:0", "h:65536", "h:1x", "::1:80", "unix:", "unix:rel"}) {
    INFO(bad);
    CHECK(a.ask(tcp(bad)).out == outcome::unknown);
  }
}

TEST_CASE("TCP checks connect over IPv6") {
  int listener = -1;
  try {
    listener = listen_on_v6(false);
  } catch (const std::runtime_error&) {
    WARN("no IPv6 on this machine");
    return;
  }
  server s([](peer& p) { p.stall(); }, listener);
  asker a;
  CHECK(told(a.ask(tcp("[::1]:" + std::to_string(s.port())))) == "passed: passed");
  CHECK(told(a.ask(tcp("localhost:" + std::to_string(s.port())))) == "passed: passed");  // refused on v4 first
}

TEST_CASE("a Unix socket whose queue is full fails rather than passes") {
  char dir[] = "/tmp/hasup-probe-XXXXXX";
  REQUIRE(::mkdtemp(dir) != nullptr);
  const std::string path = std::string(dir) + "/s";
  const base::unique_fd listener(listen_on_unix(path, 0));
  sockaddr_un at{};
  at.sun_family = AF_UNIX;
  path.copy(at.sun_path, sizeof at.sun_path - 1);
  std::vector<base::unique_fd> waiting;
  while (true) {
    base::unique_fd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    if (::connect(fd.get(), reinterpret_cast<sockaddr*>(&at), sizeof at) != 0) break;
    waiting.push_back(std::move(fd));
  }
  asker a;
  CHECK(told(a.ask(tcp("unix:" + path))) == "failed: the queue of connections at unix:" + path + " is full");
  std::filesystem::remove_all(dir);
}

TEST_CASE("a name that does not exist fails, and the loop goes on meanwhile") {
  asker a;
  const auto r = a.ask(http("http://no-such-host.invalid/"));
  CHECK_THAT(told(r), Catch::StartsWith("failed: cannot look up the name no-such-host.invalid: ") ||
                          Catch::StartsWith("failed: the lookup of the name no-such-host.invalid took longer than"));
}

TEST_CASE("without a free descriptor nothing can be asked: unknown") {
  asker a;
  {
    server warm([](peer& p) { p.stall(); });
    CHECK(a.ask(tcp(warm.place())).out == outcome::passed);  // the loop has what it needs for itself
  }
  server s(always(http_answer("{}")));  // without a connection yet, so that it closes none meanwhile
  rlimit before{};
  ::getrlimit(RLIMIT_NOFILE, &before);
  std::vector<base::unique_fd> all;
  const rlimit few{256, before.rlim_max};
  ::setrlimit(RLIMIT_NOFILE, &few);
  for (int fd = ::dup(0); fd >= 0; fd = ::dup(0)) all.emplace_back(fd);
  const auto r = a.ask(http(s.url()));
  all.clear();
  ::setrlimit(RLIMIT_NOFILE, &before);
  CHECK(told(r) == "unknown: cannot connect to " + s.place() + " from here: Too many open files");
  CHECK(a.ask(http(s.url())).out == outcome::passed);
}

namespace {

// Ends as told, on the loop; counts kills.
struct scripted_runner {
  std::optional<probe::exec_result> end;  // nothing: it never ends
  probe::exec_request asked;
  int kills = 0;

  probe::exec_runner runner(asker*& owner) {
    return [this, &owner](const probe::exec_request& request, std::function<void(probe::exec_result)> done) {
      asked = request;
      if (end) {
        auto timer = std::make_shared<boost::asio::steady_timer>(owner->io, 0ms);
        timer->async_wait([timer, done, r = *end](boost::system::error_code) { done(r); });
      }
      return [this] { ++kills; };
    };
  }
};

}  // namespace

TEST_CASE("exec checks pass with exit 0 and tell how else the program ended") {
  scripted_runner script;
  asker* owner = nullptr;
  asker a(script.runner(owner));
  owner = &a;
  a.whom.env = {{"A", "b"}};
  a.whom.directory = "/tmp";
  a.whom.uid = 7;
  model::check c;
  c.kind = model::check_kind::exec;
  c.command = {"/usr/bin/check-node", "-v"};
  const auto end_with = [&](std::optional<int> code, std::optional<int> signal, std::string output) {
    probe::exec_result r;
    r.status = {code, signal, false};
    r.output = std::move(output);
    script.end = r;
    return told(a.ask(c));
  };
  CHECK(end_with(0, {}, "fine\n") == "passed: passed");
  CHECK(script.asked.command == c.command);
  CHECK(script.asked.env == a.whom.env);
  CHECK(script.asked.uid == 7U);
  CHECK(script.asked.directory == "/tmp");
  CHECK(script.asked.timeout == 30s);
  CHECK(end_with(3, {}, "first\nnot in sync\n\n") == "failed: /usr/bin/check-node ended with code 3: not in sync");
  CHECK(end_with({}, 9, "") == "failed: /usr/bin/check-node ended with signal 9 (KILL)");
  CHECK(end_with({}, {}, "") == "unknown: /usr/bin/check-node ended, its status is lost");
  script.end->timed_out = true;
  CHECK(told(a.ask(c)) == "failed: /usr/bin/check-node did not end within 30s");
  script.end = probe::exec_result{"No such file or directory", {}, "", false};
  CHECK(told(a.ask(c)) == "unknown: /usr/bin/check-node could not be started: No such file or directory");
  CHECK(script.kills == 0);
  c.expect = {expectation_of("/peers", "7")};
  CHECK(end_with(0, {}, "{\"peers\":7}") == "passed: passed");
  CHECK(end_with(0, {}, "{\"peers\":6}") == "failed: peers is 6 (7 expected)");
  c.command.clear();
  CHECK(a.ask(c).out == outcome::unknown);
}

TEST_CASE("an exec check that does not end is killed at the timeout, and when nobody asks any more") {
  scripted_runner script;
  asker* owner = nullptr;
  asker a(script.runner(owner));
  owner = &a;
  model::check c;
  c.kind = model::check_kind::exec;
  c.command = {"sleep"};
  CHECK(told(a.ask(probe_of(c, 20ms))) == "failed: sleep did not end within 20ms");
  CHECK(script.kills == 1);
  script.asked = {};
  {
    const auto handle = a.prober.start(probe_of(c), a.whom, [](probe::probe_result) { FAIL("dropped"); });
    REQUIRE(run_until(a.io, [&script] { return !script.asked.command.empty(); }));
  }
  CHECK(script.kills == 2);
  asker without;
  CHECK(told(without.ask(c)) == "unknown: exec checks cannot be run here");
}

TEST_CASE("a number that must advance is remembered from one asking to the next, in its session") {
  std::atomic<int> n{5};
  server s([&n](peer& p) {
    while (!p.request().empty() && p.send(http_answer("{\"n\":" + std::to_string(n) + "}"))) {
    }
  });
  asker a;
  auto c = http(s.url());
  c.expect.resize(1);
  c.expect[0].pointer = "/n";
  c.expect[0].advances_within = 1h;
  CHECK(told(a.ask(c)) == "unknown: n is 5 and has not been seen to advance yet");
  n = 6;
  CHECK(told(a.ask(c)) == "passed: passed");
  CHECK(a.ask(c).checks[0].conditions ==
        std::vector<probe::condition_result>{{outcome::passed, "n is 6 and advances", true}});
  a.session = probe::session();
  CHECK(a.ask(c).out == outcome::unknown);
}
