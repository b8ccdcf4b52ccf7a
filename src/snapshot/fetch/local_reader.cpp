#include "snapshot/fetch/local_reader.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>

#include "base/unique_fd.hpp"
#include "snapshot/fetch/expected_digest.hpp"
#include "snapshot/fetch/local_server.hpp"
#include "snapshot/listing.hpp"
#include "snapshot/sandbox.hpp"

namespace hasup::snapshot {
namespace {

// What the job has of its reader.
struct reader {
  std::string address;      // of an abstract socket, as the kernel chose it
  base::unique_fd listens;  // closed with the job's process: then the reader ends
};
reader& of_this_process() {
  static reader one;
  return one;
}

// Nobody but the job itself is answered: whoever has access to its network could find the address.
bool is_from(int stream, pid_t job) {
  ucred who{};
  socklen_t size = sizeof who;
  return ::getsockopt(stream, SOL_SOCKET, SO_PEERCRED, &who, &size) == 0 && who.pid == job;
}

// So that a shim counts it no more for the tree of its job: see local_reader.hpp.
void leave_the_tree() {
  ::setsid();
  if (char* mark = ::getenv("HASUP_TREE")) {
    const auto name = std::strlen("HASUP_TREE=");
    std::memset(mark - name, 0, std::strlen(mark) + name);
  }
}

[[noreturn]] void read_for(pid_t job, int ended, int requests, const std::vector<std::string>& places) {
  ::signal(SIGTERM, SIG_DFL);
  ::signal(SIGINT, SIG_DFL);
  ::signal(SIGCHLD, SIG_IGN);
  leave_the_tree();
  // Neither a lock nor a pipe of the job's may be held open by one that hangs.
  const base::unique_fd first(::fcntl(ended, F_DUPFD, 3));
  const base::unique_fd second(::fcntl(requests, F_DUPFD, 3));
  ::dup2(first.get(), STDIN_FILENO);
  ::dup2(second.get(), STDOUT_FILENO);
  ::close_range(STDERR_FILENO, ~0U, 0);
  bounds nothing_else;
  nothing_else.watches_processes = true;  // each request's process binds itself to its place
  if (const auto locked = enter_sandbox(nothing_else); !locked) ::_exit(1);
  std::array<pollfd, 2> awaited{pollfd{STDIN_FILENO, POLLIN, 0}, pollfd{STDOUT_FILENO, POLLIN, 0}};
  for (;;) {
    if (::poll(awaited.data(), awaited.size(), -1) < 0 && errno != EINTR) ::_exit(1);
    if (awaited[0].revents != 0) ::_exit(0);
    const base::unique_fd stream(::accept4(STDOUT_FILENO, nullptr, nullptr, SOCK_CLOEXEC));
    if (!stream || !is_from(stream.get(), job) || ::fork() != 0) continue;
    ::signal(SIGCHLD, SIG_DFL);
    ::close(STDIN_FILENO);
    ::close(STDOUT_FILENO);
    serve_local(stream.get(), places);
    ::_exit(0);
  }
}

}  // namespace

std::vector<std::string> local_places(const ports::worker_job& job) {
  std::vector<std::string> out;
  const auto add = [&out](const std::string& url) {
    const auto path = file_source_path(url);
    if (!path) return;
    out.push_back(*path);
    // A source that is one file has its checksums beside it, where no source names their directory.
    if (!path->ends_with('/'))
      for (const auto& beside : side_file_places(*path)) out.push_back(beside);
  };
  for (const auto& s : job.sources) add(s.url);
  if (!job.chosen) return out;
  // A file of a local source may be a link to another place. Where the listing is another host's, a path of this
  // machine in it is nothing to believe.
  for (const auto& s : job.chosen->snapshots) {
    // With what is beside it: of an archive that a person names no source names the directory.
    const auto add_file = [&add](const std::string& url, const std::string& source) {
      if (file_source_path(source)) add(url);
    };
    add_file(s.url, s.source);
    for (const auto& m : s.mirrors) add_file(m.url, m.source);
    if (job.mode == ports::worker_mode::verify) add(s.source);
  }
  return out;
}

void local_reader::begin(std::vector<std::string> places) {
  auto& own = of_this_process();
  if (places.empty() || own.listens) return;
  const base::unique_fd requests(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  socklen_t size = sizeof address.sun_family;  // alone: the kernel gives a name
  std::array<int, 2> ends{};
  if (::bind(requests.get(), reinterpret_cast<sockaddr*>(&address), size) != 0) return;
  size = sizeof address;
  if (::getsockname(requests.get(), reinterpret_cast<sockaddr*>(&address), &size) != 0) return;
  if (::listen(requests.get(), SOMAXCONN) != 0 || ::pipe2(ends.data(), O_CLOEXEC) != 0) return;
  const base::unique_fd ended(ends[0]);
  base::unique_fd listens(ends[1]);
  const auto job = ::getpid();
  const auto pid = ::fork();
  if (pid == 0) read_for(job, ended.get(), requests.get(), places);
  if (pid < 0) return;
  const auto* name = address.sun_path + 1;
  own.address.assign(name, size - static_cast<socklen_t>(name - reinterpret_cast<const char*>(&address)));
  own.listens = std::move(listens);
}

outcome<std::string> local_reader::address() {
  if (!of_this_process().listens) begin({"/"});
  if (of_this_process().listens) return outcome<std::string>(of_this_process().address);
  return failure{ports::worker_failure::internal, "no process that reads local sources could be started"};
}

}  // namespace hasup::snapshot
