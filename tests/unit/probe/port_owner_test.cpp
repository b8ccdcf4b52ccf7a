// Who owns a port: real processes, real sockets.
#include "probe/port_owner.hpp"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "asking.hpp"
#include "servers.hpp"

using namespace hasup;
using namespace hasup::probe_test;
using probe::find_owner;
using probe::ownership;

namespace {

probe::listen_address loopback(std::uint16_t port) {
  return {{127, 0, 0, 1}, port};
}

// What a forked process and its children wait on; it ends with the object that started them.
int lifeline = -1;

[[noreturn]] void live() {
  char byte = 0;
  while (::read(lifeline, &byte, 1) > 0) {
  }
  ::_exit(0);
}

// A forked process that runs `body` and reports one number (a port or a pid). It and all that it started live as long
// as this object.
class child {
 public:
  template <class Body>
  explicit child(Body body) {
    int report[2], life[2];
    REQUIRE(::pipe2(report, O_CLOEXEC) == 0);
    REQUIRE(::pipe2(life, O_CLOEXEC) == 0);
    pid_ = ::fork();
    REQUIRE(pid_ >= 0);
    if (pid_ == 0) {
      ::close(life[1]);
      lifeline = life[0];
      const std::int32_t number = body();
      if (::write(report[1], &number, sizeof number) != sizeof number) ::_exit(1);
      live();
    }
    ::close(report[1]);
    ::close(life[0]);
    life_.reset(life[1]);
    const ssize_t n = ::read(report[0], &number_, sizeof number_);
    ::close(report[0]);
    REQUIRE(n == sizeof number_);
  }
  ~child() {
    life_.reset();
    ::waitpid(pid_, nullptr, 0);
  }
  [[nodiscard]] int pid() const { return pid_; }
  [[nodiscard]] std::int32_t number() const { return number_; }
  [[nodiscard]] std::uint16_t port() const { return static_cast<std::uint16_t>(number_); }

 private:
  int pid_ = 0;
  base::unique_fd life_;
  std::int32_t number_ = 0;
};

std::int32_t listen_here() {
  return port_of(listen_on_loopback());
}

// Listens in a child, or in a grandchild whose parent is gone, and gives the port.
std::int32_t listen_in_child(bool own_session, bool orphaned) {
  int ends[2];
  if (::pipe(ends) != 0) ::_exit(1);
  const int middle = ::fork();
  if (middle == 0) {
    if (own_session) ::setsid();
    if (orphaned && ::fork() != 0) ::_exit(0);
    const std::int32_t port = listen_here();
    if (::write(ends[1], &port, sizeof port) != sizeof port) ::_exit(1);
    ::close(ends[1]);
    live();
  }
  std::int32_t port = 0;
  if (::read(ends[0], &port, sizeof port) != sizeof port) ::_exit(1);
  if (orphaned) ::waitpid(middle, nullptr, 0);
  return port;
}

probe::owner_finding find(std::uint16_t port, int pid) {
  return find_owner(loopback(port), pid, {});
}

}  // namespace

TEST_CASE("both ways find the socket that takes the connection") {
  const base::unique_fd exact(listen_on_loopback()), all(listen_on_loopback(0, true));
  for (const int fd : {exact.get(), all.get()}) {
    const auto at = loopback(port_of(fd));
    const auto inode = probe::listening_inode_by_netlink(at);
    REQUIRE(inode);
    CHECK(*inode != 0);
    CHECK(probe::listening_inode_by_proc(at) == inode);
  }
  CHECK(probe::listening_inode_by_proc({{127, 0, 0, 2}, port_of(exact.get())}) == 0U);
  CHECK(probe::listening_inode_by_netlink({{127, 0, 0, 2}, port_of(exact.get())}) == 0U);
  CHECK(*probe::listening_inode_by_netlink({{127, 0, 0, 2}, port_of(all.get())}) != 0);
}

TEST_CASE("a v6 socket that takes v4 connections is found, too") {
  base::unique_fd fd;
  try {
    fd.reset(listen_on_v6(true));
  } catch (const std::runtime_error&) {
    WARN("no IPv6 on this machine");
    return;
  }
  const auto v4 = loopback(port_of(fd.get()));
  probe::listen_address v6{std::vector<std::uint8_t>(16, 0), v4.port};
  v6.ip[15] = 1;
  const auto inode = probe::listening_inode_by_netlink(v4);
  REQUIRE(inode);
  CHECK(*inode != 0);
  CHECK(probe::listening_inode_by_proc(v4) == inode);
  CHECK(probe::listening_inode_by_netlink(v6) == inode);
  CHECK(probe::listening_inode_by_proc(v6) == inode);
}

TEST_CASE("a port of the main process and of its descendants belongs to the unit") {
  const child direct(listen_here);
  CHECK(find(direct.port(), direct.pid()).who == ownership::unit);
  const child deep([] { return listen_in_child(false, false); });
  CHECK(find(deep.port(), deep.pid()).who == ownership::unit);
  const child session([] { return listen_in_child(true, false); });
  CHECK(find(session.port(), session.pid()).who == ownership::unit);
}

TEST_CASE("a daemonised child belongs to the unit by its session or by the shim") {
  // The main process leads a session; its grandchild was left by its parent.
  const child same_session([] {
    ::setsid();
    ::prctl(PR_SET_CHILD_SUBREAPER, 1);
    return listen_in_child(false, true);
  });
  CHECK(find(same_session.port(), same_session.pid()).who == ownership::unit);

  // main -> leaves a daemon in a session of its own, which its shim adopts.
  struct numbers {
    std::int32_t main, port;
  };
  int ends[2];
  REQUIRE(::pipe(ends) == 0);
  const auto shim_with_name = [&ends](const char* name) {
    return [&ends, name]() -> std::int32_t {
      ::prctl(PR_SET_NAME, name);
      ::prctl(PR_SET_CHILD_SUBREAPER, 1);
      const int main = ::fork();
      if (main == 0) {
        ::setsid();
        const int middle = ::fork();
        if (middle == 0) {
          ::setsid();
          const int left_by = ::getpid();
          if (::fork() != 0) ::_exit(0);
          while (::getppid() == left_by) ::usleep(1000);
          const std::int32_t port = listen_here();
          if (::write(ends[1], &port, sizeof port) != sizeof port) ::_exit(1);
        } else {
          ::waitpid(middle, nullptr, 0);
        }
        live();
      }
      return main;
    };
  };
  for (const bool real : {true, false}) {
    const child shim(shim_with_name(real ? "hasup-shim" : "somebody"));
    std::int32_t port = 0;
    REQUIRE(::read(ends[0], &port, sizeof port) == sizeof port);
    const auto found = find(static_cast<std::uint16_t>(port), shim.number());
    CHECK(found.who == (real ? ownership::unit : ownership::stranger));
  }
  ::close(ends[0]);
  ::close(ends[1]);
}

TEST_CASE("a stranger is named with pid and command, and asked again the finding is kept") {
  const child unit(listen_here), stranger(listen_here);
  const auto found = find(stranger.port(), unit.pid());
  CHECK(found.who == ownership::stranger);
  CHECK_THAT(found.stranger,
             Catch::StartsWith("pid " + std::to_string(stranger.pid()) + " (") && Catch::Contains("test_probe"));
  CHECK(find_owner(loopback(stranger.port()), unit.pid(), found) == found);
  const auto own = find(unit.port(), unit.pid());
  CHECK(find_owner(loopback(unit.port()), unit.pid(), own) == own);
  CHECK(find_owner(loopback(unit.port()), stranger.pid(), own).who == ownership::stranger);  // another run
}

TEST_CASE("a port where nobody listens belongs to nobody, a main process that is gone owns nothing") {
  std::uint16_t port = 0;
  {
    const base::unique_fd fd(listen_on_loopback());
    port = port_of(fd.get());
  }
  CHECK(find(port, ::getpid()).who == ownership::nobody);
  const base::unique_fd fd(listen_on_loopback());
  CHECK(find(port_of(fd.get()), 0x3FFFFFFF).who == ownership::stranger);
}

TEST_CASE("a process of the unit whose descriptors cannot be read may be the owner") {
  if (::getuid() != 0) {
    WARN("needs root, to become another user");
    return;
  }
  // Run as another user, /proc/PID/fd of a root process is closed.
  const child unit(listen_here);
  int ends[2];
  REQUIRE(::pipe(ends) == 0);
  const int other = ::fork();
  if (other == 0) {
    if (::setresgid(65534, 65534, 65534) != 0 || ::setresuid(65534, 65534, 65534) != 0) ::_exit(1);
    const auto found = find(unit.port(), unit.pid());
    const bool good = found.who == ownership::unreadable && found.note.find("/fd") != std::string::npos;
    ::_exit(good ? 0 : 2);
  }
  int status = 0;
  REQUIRE(::waitpid(other, &status, 0) == other);
  CHECK(status == 0);
  ::close(ends[0]);
  ::close(ends[1]);
}

TEST_CASE("a probe does not talk to a stranger on the unit's port") {
  const child unit(listen_here);  // before the server: a fork would have its socket, too
  std::atomic<int> requests{0};
  server stranger([&requests](peer& p) {
    if (!p.request().empty()) ++requests;
    p.send(http_answer("{}"));
  });
  asker a;
  a.whom.main_pid = unit.pid();
  auto c = http(stranger.url());
  const std::string port =
      "port " + std::to_string(stranger.port()) + " belongs to pid " + std::to_string(::getpid());
  CHECK_THAT(told(a.ask(c)), Catch::StartsWith("failed: " + port + " (") && Catch::EndsWith("), not to this unit"));
  CHECK_THAT(told(a.ask(tcp(stranger.place()))), Catch::StartsWith("failed: " + port));
  CHECK(requests == 0);
  c.owner = model::port_owner::any;
  CHECK(told(a.ask(c)) == "passed: passed");
  CHECK(requests == 1);
}

TEST_CASE("a port stolen by another program is found out") {
  // python3 takes the port on which the unit once listened.
  FILE* python = ::popen(
      "exec python3 -c 'import http.server,os,threading\n"
      "s=http.server.HTTPServer((\"127.0.0.1\",0),http.server.SimpleHTTPRequestHandler)\n"
      "print(os.getpid(),s.server_address[1],flush=True)\ns.serve_forever()' 2>/dev/null",
      "r");
  REQUIRE(python != nullptr);
  int pid = 0, port = 0;
  REQUIRE(std::fscanf(python, "%d %d", &pid, &port) == 2);
  const child unit(listen_here);
  asker a;
  a.whom.main_pid = unit.pid();
  const auto c = http("http://127.0.0.1:" + std::to_string(port) + "/");
  for (int i = 0; i < 2; ++i) {
    CHECK_THAT(
        told(a.ask(c)),
        Catch::StartsWith("failed: port " + std::to_string(port) + " belongs to pid " + std::to_string(pid) + " (") &&
            Catch::Contains("python3 -c import http.server") && Catch::EndsWith("), not to this unit"));
  }
  a.whom.main_pid = pid;
  CHECK(told(a.ask(http("http://127.0.0.1:" + std::to_string(port) + "/"))) == "passed: passed");
  ::kill(pid, SIGKILL);
  ::pclose(python);
}

TEST_CASE("the unit's own port passes, with a kept connection and without") {
  server s(always(http_answer("{}")));
  asker a;
  a.whom.main_pid = ::getpid();
  for (int i = 0; i < 3; ++i) {
    CHECK(told(a.ask(http(s.url()))) == "passed: passed");
    CHECK(told(a.ask(tcp(s.place()))) == "passed: passed");
  }
}
