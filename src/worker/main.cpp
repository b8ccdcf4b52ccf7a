// hasup-worker: inspects, swaps, rolls back and cleans up; becomes its sibling for the network and for archives, so
// that what renames and deletes state never has a network library or an archive parser in its process.
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <climits>
#include <cstdlib>
#include <string>

#include "base/result.hpp"
#include "base/unique_fd.hpp"
#include "snapshot/ahead_link.hpp"
#include "snapshot/inspect.hpp"
#include "snapshot/job_run.hpp"
#include "snapshot/make_directories.hpp"
#include "snapshot/sandbox.hpp"
#include "snapshot/state_swap.hpp"

namespace {

using namespace hasup;

std::string path_of(const std::string& sibling) {
  std::array<char, PATH_MAX> self{};
  const auto n = ::readlink("/proc/self/exe", self.data(), self.size() - 1);
  std::string path(self.data(), static_cast<std::size_t>(n > 0 ? n : 0));
  path.resize(path.rfind('/') + 1);
  return path + sibling;
}

ports::worker_result become(const std::string& sibling, const char* job_file) {
  const auto path = path_of(sibling);
  const std::array<const char*, 3> arguments{path.c_str(), job_file, nullptr};
  ::execv(path.c_str(), const_cast<char* const*>(arguments.data()));
  return ports::internal_failure(base::errno_error("start " + path).message + "; install it beside hasup-worker");
}

// Who unpacks while this process fetches, and a socket between both at the descriptor where they look for it. It is
// the one that waits for the other, so it may fail, or end, in any way: then all is unpacked afterwards.
void start_unpacking_ahead(const char* job_file) {
  std::array<int, 2> pair{};
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair.data()) != 0) return;
  // Out of the way of that descriptor.
  const base::unique_fd ours(::fcntl(pair[0], F_DUPFD_CLOEXEC, snapshot::ahead_descriptor + 1));
  const base::unique_fd theirs(::fcntl(pair[1], F_DUPFD_CLOEXEC, snapshot::ahead_descriptor + 1));
  ::close(pair[0]);
  ::close(pair[1]);
  if (!ours || !theirs) return;
  const auto path = path_of("hasup-worker-unpack");
  const pid_t pid = ::fork();
  if (pid == 0) {
    ::dup2(theirs.get(), snapshot::ahead_descriptor);
    for (const char* name : ports::ways_out) ::unsetenv(name);
    ::execl(path.c_str(), path.c_str(), "--ahead", job_file, nullptr);
    ::_exit(127);
  }
  if (pid > 0) ::dup2(ours.get(), snapshot::ahead_descriptor);
}

ports::worker_result with_swap(const ports::worker_job& job, const snapshot::job_control& control) {
  snapshot::state_swap state(job, control, snapshot::disk{});
  const auto done = [&]() -> snapshot::outcome<void> {
    if (auto entered = snapshot::enter_sandbox(snapshot::swap_bounds()); !entered) return entered;
    switch (job.mode) {
      case ports::worker_mode::swap:
        return state.swap();
      case ports::worker_mode::rewipe:
        return state.rewipe();
      case ports::worker_mode::roll_back:
        return state.roll_back();
      default:
        return state.clean_up();
    }
  }();
  auto out = done ? ports::worker_result{} : snapshot::failed_result(done.error());
  out.notes = state.notes();
  return out;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc == 2 && std::string_view(argv[1]) == "--look") return snapshot::run_looks(snapshot::inspect);
  return snapshot::run_job(argc, argv, [&](const ports::worker_job& job, snapshot::job_control& control) {
    switch (job.mode) {
      case ports::worker_mode::inspect:
        return snapshot::inspect(job);
      case ports::worker_mode::make_directories:
        return snapshot::make_directories(job);
      case ports::worker_mode::fetch:
        if (job.unpack_ahead) start_unpacking_ahead(argv[1]);
        [[fallthrough]];
      case ports::worker_mode::select:
      case ports::worker_mode::verify:
        return become("hasup-worker-fetch", argv[1]);
      case ports::worker_mode::examine:
      case ports::worker_mode::unpack:
        return become("hasup-worker-unpack", argv[1]);
      default:
        return with_swap(job, control);
    }
  });
}
