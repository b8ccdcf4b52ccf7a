// What the client says when there is nobody, when it may not, and when the answer is not one.
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <catch2/catch.hpp>

#include "server_harness.hpp"
#include "show_result.hpp"

using namespace hasup;
using namespace hasup::control;
using namespace hasup::control::testing;

namespace {

// Listens and answers each connection with fixed bytes.
class fixed_server {
 public:
  fixed_server(const std::string& directory, std::string bytes, bool close_after)
      : fd_(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)), bytes_(std::move(bytes)), close_after_(close_after) {
    sockaddr_un a{};
    a.sun_family = AF_UNIX;
    (directory + "/hasupd.sock").copy(a.sun_path, sizeof a.sun_path - 1);
    if (::bind(fd_.get(), reinterpret_cast<const sockaddr*>(&a), sizeof a) != 0 || ::listen(fd_.get(), 5) != 0)
      throw std::runtime_error("bind");
    thread_ = std::thread([this] {
      connection_.reset(::accept4(fd_.get(), nullptr, nullptr, SOCK_CLOEXEC));
      char request[4096];
      [[maybe_unused]] const auto n = ::recv(connection_.get(), request, sizeof request, 0);
      ::send(connection_.get(), bytes_.data(), bytes_.size(), MSG_NOSIGNAL);
      if (close_after_) connection_.reset();
    });
  }
  ~fixed_server() { thread_.join(); }
  fixed_server(const fixed_server&) = delete;
  fixed_server& operator=(const fixed_server&) = delete;

 private:
  base::unique_fd fd_;
  base::unique_fd connection_;
  std::string bytes_;
  bool close_after_;
  std::thread thread_;
};

}  // namespace

TEST_CASE("without a daemon the client says so and what to do") {
  temporary_directory d;
  const auto nothing = client(d.path).status();
  REQUIRE_FALSE(nothing);
  CHECK(nothing.error().code == exit_code::daemon_unreachable);
  CHECK(nothing.error().message.find("does not run here") != std::string::npos);
  CHECK(nothing.error().message.find("systemctl start hasupd") != std::string::npos);
  const auto no_directory = client(d.path + "/none").status();
  REQUIRE_FALSE(no_directory);
  CHECK(no_directory.error().code == exit_code::daemon_unreachable);
}

TEST_CASE("a stale socket is told from a daemon that holds its lock but does not listen") {
  temporary_directory d;
  {
    base::unique_fd fd(::socket(AF_UNIX, SOCK_STREAM, 0));
    sockaddr_un a{};
    a.sun_family = AF_UNIX;
    (d.path + "/hasupd.sock").copy(a.sun_path, sizeof a.sun_path - 1);
    REQUIRE(::bind(fd.get(), reinterpret_cast<const sockaddr*>(&a), sizeof a) == 0);
  }
  CHECK(client(d.path).status().error().message.find("nobody listens") != std::string::npos);
  base::unique_fd lock(::open((d.path + "/hasupd.lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  struct flock whole {};
  whole.l_type = F_WRLCK;
  REQUIRE(::fcntl(lock.get(), F_OFD_SETLK, &whole) == 0);
  const auto held = client(d.path).status();
  CHECK(held.error().code == exit_code::daemon_unreachable);
  CHECK(held.error().message.find("hasupd runs") != std::string::npos);
}

TEST_CASE("a socket that may not be used is permission denied") {
  running_server s;
  REQUIRE(::chmod((s.directory + "/hasupd.sock").c_str(), 0) == 0);
  REQUIRE(::chmod(s.directory.c_str(), 0755) == 0);
  // Root may do everything, so another user asks, in a process of its own.
  const auto child = ::fork();
  if (child == 0) {
    if (::getuid() == 0 && (::setgid(65534) != 0 || ::setuid(65534) != 0)) ::_exit(100);
    const auto r = client(s.directory).status();
    ::_exit(r ? 0 : static_cast<int>(r.error().code));
  }
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  CHECK(WEXITSTATUS(status) == static_cast<int>(exit_code::permission_denied));
}

TEST_CASE("an answer that is none, is cut off, or does not come, is an unreachable daemon") {
  struct row {
    const char* bytes;
    bool close_after;
    const char* says;
  };
  const row rows[]{{"SSH-2.0-OpenSSH\r\n\r\n", true, "not HTTP"},
                   {"", true, "closed the connection"},
                   {"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{", true, "cut off"},
                   {"HTTP/1.1 200 OK\r\n", false, "no answer in time"}};
  for (const auto& r : rows) {
    INFO(r.bytes);
    temporary_directory d;
    const fixed_server s(d.path, r.bytes, r.close_after);
    const auto got = client(d.path, base::duration{300}).status();
    REQUIRE_FALSE(got);
    CHECK(got.error().code == exit_code::daemon_unreachable);
    CHECK(got.error().message.find(r.says) != std::string::npos);
  }
}

TEST_CASE("an answer without a length ends with the connection; one that is not a status is a failure") {
  temporary_directory d;
  {
    const fixed_server s(d.path, "HTTP/1.1 200 OK\r\n\r\n{\"units\":[]}", true);
    CHECK(client(d.path).status());
  }
  ::unlink((d.path + "/hasupd.sock").c_str());
  const fixed_server s(d.path, "HTTP/1.1 200 OK\r\ncontent-LENGTH: 2\r\n\r\n[]", true);
  const auto got = client(d.path).status();
  REQUIRE_FALSE(got);
  CHECK(got.error().code == exit_code::failed);
}

TEST_CASE("names are escaped in paths") {
  CHECK(url_escape("miner@2") == "miner@2");
  CHECK(url_escape("a b/../?x=1&y") == "a%20b%2F..%2F%3Fx%3D1%26y");
}
