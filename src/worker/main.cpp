// hasup-worker: inspects, swaps, rolls back and cleans up; becomes its sibling for the network and for archives, so
// that what renames and deletes state never has a network library or an archive parser in its process.
#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <climits>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

#include "base/result.hpp"
#include "base/unique_fd.hpp"
#include "snapshot/ahead_link.hpp"
#include "snapshot/inspect.hpp"
#include "snapshot/job_run.hpp"
#include "snapshot/make_directories.hpp"
#include "snapshot/room.hpp"
#include "snapshot/sandbox.hpp"
#include "snapshot/state_swap.hpp"

namespace {

using namespace hasup;

// Beside this program.
base::result<std::string> path_of(const std::string& sibling) {
  std::array<char, PATH_MAX> self{};
  const auto n = ::readlink("/proc/self/exe", self.data(), self.size() - 1);
  if (n <= 0) return base::errno_error("read /proc/self/exe");
  std::string path(self.data(), static_cast<std::size_t>(n));
  path.resize(path.rfind('/') + 1);
  return base::success(path + sibling);
}

ports::worker_result become(const std::string& sibling, const char* job_file) {
  const auto path = path_of(sibling);
  if (!path) return ports::internal_failure(path.error().message);
  const std::array<const char*, 3> arguments{path->c_str(), job_file, nullptr};
  ::execv(path->c_str(), const_cast<char* const*>(arguments.data()));
  return ports::internal_failure(base::errno_error("start " + *path).message + "; install it beside hasup-worker");
}

// In the child. It ends with the process that it packs for.
[[noreturn]] void pack_for(pid_t sender, const std::string& packer, const char* job_file, int output) {
  ::prctl(PR_SET_PDEATHSIG, SIGTERM);
  if (::getppid() == sender && ::dup2(output, STDOUT_FILENO) >= 0) {
    for (const char* name : ports::ways_out) ::unsetenv(name);
    const std::array<const char*, 4> arguments{packer.c_str(), "--to-sender", job_file, nullptr};
    ::execv(packer.c_str(), const_cast<char* const*>(arguments.data()));
  }
  std::fprintf(stderr, "%s: %s\n", packer.c_str(), std::strerror(errno));
  ::_exit(2);
}

// An archive for another host is packed by one program and sent by another, so that no network library meets a parser
// of archives, and no copy of it is needed here.
ports::worker_result create(const ports::worker_job& job, const char* job_file) {
  const auto& to = job.create.target.url;
  if (!to.starts_with("sftp://") && !to.starts_with("s3://")) return become("hasup-worker-pack", job_file);
  const auto packer = path_of("hasup-worker-pack");
  if (!packer) return ports::internal_failure(packer.error().message);
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) return ports::internal_failure(base::errno_error("pipe").message);
  const auto self = ::getpid();
  const auto child = ::fork();
  if (child < 0) return ports::internal_failure(base::errno_error("fork").message);
  if (child == 0) pack_for(self, *packer, job_file, ends[1]);
  ::close(ends[1]);
  if (::dup2(ends[0], STDIN_FILENO) < 0) return ports::internal_failure(base::errno_error("dup2").message);
  return become("hasup-worker-fetch", job_file);
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
  if (!path) return;
  const pid_t pid = ::fork();
  if (pid == 0) {
    ::dup2(theirs.get(), snapshot::ahead_descriptor);
    for (const char* name : ports::ways_out) ::unsetenv(name);
    ::execl(path->c_str(), path->c_str(), "--ahead", job_file, nullptr);
    ::_exit(127);
  }
  if (pid > 0) ::dup2(ours.get(), snapshot::ahead_descriptor);
}

ports::worker_result with_swap(const ports::worker_job& job, snapshot::job_control& control) {
  snapshot::state_swap state(job, control, snapshot::disk{});
  const auto done = [&]() -> snapshot::outcome<void> {
    if (auto entered = snapshot::enter_sandbox(snapshot::swap_bounds()); !entered) return entered;
    switch (job.mode) {
      case ports::worker_mode::wipe:
        return state.wipe();
      case ports::worker_mode::swap:
        return state.swap();
      case ports::worker_mode::rewipe:
        return state.rewipe();
      case ports::worker_mode::roll_back:
        return state.roll_back();
      case ports::worker_mode::drop_warm:
        return state.drop_warm();
      case ports::worker_mode::discard:
        return state.discard_archives();
      default:
        return state.clean_up();
    }
  }();
  auto out = done ? ports::worker_result{} : snapshot::failed_result(done.error());
  out.notes = state.notes();
  out.wiped = state.wiped();
  out.inexact = state.inexact();
  out.half_swapped = job.mode == ports::worker_mode::swap && state.has_record();
  return out;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc == 2 && std::string_view(argv[1]) == "--look")
    return snapshot::run_looks([](const ports::worker_job& job) { return snapshot::inspect(job); });
  return snapshot::run_job(argc, argv, [&](const ports::worker_job& job, snapshot::job_control& control) {
    switch (job.mode) {
      case ports::worker_mode::inspect:
        control.begin_files("quiesce", std::nullopt);
        return snapshot::inspect(job, [&control] { control.count_file(); });
      case ports::worker_mode::make_directories:
        return snapshot::make_directories(job);
      case ports::worker_mode::measure:
        return snapshot::measure(job, control);
      case ports::worker_mode::fetch:
        if (job.unpack_ahead) start_unpacking_ahead(argv[1]);
        [[fallthrough]];
      case ports::worker_mode::select:
      case ports::worker_mode::verify:
        return become("hasup-worker-fetch", argv[1]);
      case ports::worker_mode::create:
        return create(job, argv[1]);
      case ports::worker_mode::examine:
      case ports::worker_mode::unpack:
        return become("hasup-worker-unpack", argv[1]);
      default:
        return with_swap(job, control);
    }
  });
}
