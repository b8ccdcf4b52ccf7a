#include "snapshot/job_run.hpp"

#include <fcntl.h>
#include <malloc.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <exception>
#include <fstream>
#include <iostream>
#include <iterator>
#include <optional>

#include "hasup/version.hpp"

namespace hasup::snapshot {
namespace {

volatile std::sig_atomic_t terminated = 0;

void on_terminate(int) {
  terminated = 1;
}

void mind_signals() {
  struct sigaction act {};
  act.sa_handler = &on_terminate;  // without SA_RESTART: a blocked read or poll returns
  ::sigaction(SIGTERM, &act, nullptr);
  ::sigaction(SIGINT, &act, nullptr);
  act.sa_handler = SIG_IGN;
  ::sigaction(SIGPIPE, &act, nullptr);
  ::sigaction(SIGXFSZ, &act, nullptr);  // a file size limit is an error of write, as a full disk is
  ::sigaction(SIGIO, &act, nullptr);    // somebody waited for a lease, which is given back at once
  sigset_t none;
  sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
}

ports::worker_result guarded(const job_handler& handler, const ports::worker_job& job, job_control& control) {
  try {
    return handler(job, control);
  } catch (const std::exception& e) {
    ports::worker_result out;
    out.failure = ports::worker_failure::internal;
    out.error = e.what();
    return out;
  }
}

// No C library names these: linux/ioprio.h.
void let_others_first() {
  constexpr int of_a_process = 1;
  constexpr int idle = 3 << 13;
  ::syscall(SYS_ioprio_set, of_a_process, 0, idle);
  ::setpriority(PRIO_PROCESS, 0, 19);
}

// Nothing when there is no job to read; that was said.
std::optional<ports::worker_job> begin(const char* file) {
  ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  ::umask(022);
  std::ifstream in(file, std::ios::binary);
  const std::string text{std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
  if (!in) {
    std::fprintf(stderr, "%s: cannot be read\n", file);
    return std::nullopt;
  }
  auto job = ports::decode_job(text);
  if (job && job->background) let_others_first();
  if (job) return std::move(*job);
  std::fprintf(stderr, "%s: %s\n", file, job.error().message.c_str());
  return std::nullopt;
}

}  // namespace

int run_beside(const char* job_file, const std::function<void(const ports::worker_job&)>& work) {
  mind_signals();
  ::signal(SIGTERM, SIG_DFL);
  ::signal(SIGINT, SIG_DFL);
  const auto job = begin(job_file);
  if (!job) return 2;
  try {
    work(*job);
  } catch (const std::exception& e) {
    std::fprintf(stderr, "%s\n", e.what());
    return 1;
  }
  return 0;
}

int run_looks(const std::function<ports::worker_result(const ports::worker_job&)>& look) {
  mind_signals();
  ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  for (std::string line; std::getline(std::cin, line);) {
    const auto job = ports::decode_job(line);
    if (!job || job->mode != ports::worker_mode::inspect) {
      std::fprintf(stderr, "hasup-worker --look: %s\n", job ? "not a look" : job.error().message.c_str());
      return 2;
    }
    job_control control;
    const auto result = guarded([&look](const ports::worker_job& j, job_control&) { return look(j); }, *job, control);
    const auto answer = ports::encode(result) + "\n";
    for (std::string_view left = answer; !left.empty();) {
      const auto n = ::write(STDIN_FILENO, left.data(), left.size());
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) return 2;
      left.remove_prefix(static_cast<std::size_t>(n));
    }
    ::malloc_trim(0);  // it may wait for days now
  }
  return 0;
}

int run_job(int argc, char** argv, const job_handler& handler) {
  if (argc == 2 && std::strcmp(argv[1], "--version") == 0) {
    std::printf("%s\n", hasup::version);
    return 0;
  }
  if (argc != 2) {
    std::fprintf(stderr, "usage: %s JOB.json\nStarted by hasupd; not meant to be called by hand.\n", argv[0]);
    return 2;
  }
  mind_signals();
  const auto job = begin(argv[1]);
  if (!job) return 2;
  job_control control(job->progress_path, [] { return terminated != 0; });
  const auto result = guarded(handler, *job, control);
  if (!result.ok()) std::fprintf(stderr, "%s\n", result.error.c_str());
  if (const auto written = write_result(job->result_path, result); !written) {
    std::fprintf(stderr, "%s\n", written.error().message.c_str());
    return 2;
  }
  return result.ok() ? 0 : 1;
}

int run_part(const char* file, const part_handler& handler) {
  mind_signals();
  const auto job = begin(file);
  if (!job) return 2;
  job_control control(job->progress_path, [] { return terminated != 0; });
  try {
    return handler(*job, control);
  } catch (const std::exception& e) {
    std::fprintf(stderr, "%s\n", e.what());
    return 2;
  }
}

}  // namespace hasup::snapshot
