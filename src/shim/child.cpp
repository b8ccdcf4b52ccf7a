// The fork and all that the child does before its exec. Between fork and exec only system calls: the shim has a
// second thread, so nothing that takes a lock may run here.
#include "shim/child.hpp"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "process/capabilities.hpp"
#include "shim/proc.hpp"

#ifndef CLOSE_RANGE_CLOEXEC
#define CLOSE_RANGE_CLOEXEC (1U << 2)
#endif

namespace hasup::shim {

namespace {

using process::exec_stage;

constexpr int pipe_size = 256 << 10;
constexpr const char* default_path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

struct child_ends {
  int out;
  int err;
  int release;
  int error;
};

[[noreturn]] void fail(const child_ends& ends, exec_stage stage, int error) {
  const start_failure failure{stage, error};
  if (write(ends.error, &failure, sizeof failure) < 0) _exit(126);
  _exit(127);
}

void check(bool done, const child_ends& ends, exec_stage stage) {
  if (!done) fail(ends, stage, errno);
}

void reset_signal_actions() {
  struct sigaction action {};
  action.sa_handler = SIG_DFL;
  for (int number = 1; number <= 64; ++number) sigaction(number, &action, nullptr);  // a few refuse, rightly
}

void unblock_signals() {
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
}

// By system call: the C library would tell all threads of the shim, which do not exist here.
void set_user(const run_spec& spec, const child_ends& ends) {
  const bool other_user = spec.has_uid && spec.uid != geteuid();
  const bool other_group = spec.has_gid && spec.gid != getegid();
  if (geteuid() != 0 && !other_user && !other_group) return;
  if (spec.has_uid || spec.has_gid || spec.group_count > 0)
    check(syscall(SYS_setgroups, spec.group_count, spec.groups) == 0, ends, exec_stage::groups);
  if (spec.has_gid) check(syscall(SYS_setresgid, spec.gid, spec.gid, spec.gid) == 0, ends, exec_stage::gid);
  if (spec.has_uid) check(syscall(SYS_setresuid, spec.uid, spec.uid, spec.uid) == 0, ends, exec_stage::uid);
}

// execvp with the PATH of the node, not of the shim. Returns with the most telling errno.
void exec_program(const run_spec& spec) {
  const char* const name = spec.argv[0];
  if (strchr(name, '/')) {
    execve(name, spec.argv, spec.env);
    return;
  }
  const char* path = default_path;
  for (char** e = spec.env; *e; ++e)
    if (strncmp(*e, "PATH=", 5) == 0) path = *e + 5;
  int telling = ENOENT;
  while (*path) {
    const size_t length = strcspn(path, ":");
    fixed_text<PATH_MAX> file;
    if (length > 0)
      file.put(path, length) << "/" << name;
    else
      file << name;
    if (!file.cut()) execve(file.c_str(), spec.argv, spec.env);
    if (errno != ENOENT && errno != ENOTDIR) telling = errno;
    path += length + (path[length] == ':' ? 1 : 0);
  }
  errno = telling;
}

// Last before the exec: what comes before it overlaps with the shim's recording, and has touched nothing but the
// child.
void await_release(const child_ends& ends) {
  char byte = 0;
  ssize_t got = 0;
  do got = read(ends.release, &byte, 1);
  while (got < 0 && errno == EINTR);
  if (got != 1) _exit(0);  // the shim died before the pid was on record: this run never was
}

[[noreturn]] void child_main(const run_spec& spec, const child_ends& ends, const node_cgroup* to_enter) {
  check(setsid() >= 0, ends, exec_stage::session);
  if (to_enter && !to_enter->enter()) errno = 0;  // the shim sees that it is empty
  check(dup2(ends.out, STDOUT_FILENO) >= 0 && dup2(ends.err, STDERR_FILENO) >= 0, ends, exec_stage::pipes);
  for (size_t i = 0; i < spec.limit_count; ++i)
    check(setrlimit(static_cast<__rlimit_resource>(spec.limits[i].resource), &spec.limits[i].value) == 0, ends,
          exec_stage::limits);
  if (spec.has_nice) check(setpriority(PRIO_PROCESS, 0, spec.nice) == 0, ends, exec_stage::nice);
  if (spec.has_oom_score_adjust)
    check(set_oom_score(getpid(), spec.oom_score_adjust), ends, exec_stage::oom_score_adjust);
  umask(spec.umask & 0777);
  reset_signal_actions();
  if (spec.capabilities != 0) check(process::keep_capabilities_over_setuid(), ends, exec_stage::capabilities);
  set_user(spec, ends);
  // Root has them all; another user has what he is given, and so has all that he executes.
  if (spec.capabilities != 0 && geteuid() != 0)
    check(process::hold_only(spec.capabilities), ends, exec_stage::capabilities);
  check(chdir(spec.directory) == 0, ends, exec_stage::directory);
  // All are close-on-exec already; this is for what a library might have opened behind our back.
  syscall(SYS_close_range, 3U, ~0U, CLOSE_RANGE_CLOEXEC);
  await_release(ends);
  unblock_signals();
  exec_program(spec);
  fail(ends, exec_stage::exec, errno);
}

// The node's end is opened for reading too, so that there is always a reader: it never gets SIGPIPE, not even when
// the shim is killed. The pipe belongs to the node's user, who may then open /dev/stdout again.
bool make_output_pipe(const run_spec& spec, base::unique_fd& ours, base::unique_fd& theirs) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return false;
  ours.reset(ends[0]);
  const base::unique_fd write_end(ends[1]);
  fcntl(write_end.get(), F_SETPIPE_SZ, pipe_size);  // users have a budget for this: 64 KiB will do too
  fixed_text<40> path;
  path << "/proc/self/fd/" << static_cast<uint64_t>(write_end.get());
  theirs.reset(open(path.c_str(), O_RDWR | O_CLOEXEC));
  if (!theirs) return false;
  if (geteuid() == 0 && (spec.has_uid || spec.has_gid)) {
    const uid_t uid = spec.has_uid ? spec.uid : static_cast<uid_t>(-1);
    const gid_t gid = spec.has_gid ? spec.gid : static_cast<gid_t>(-1);
    if (fchown(theirs.get(), uid, gid) != 0) return false;
  }
  return fcntl(ours.get(), F_SETFL, O_NONBLOCK) == 0;
}

bool make_pipe(base::unique_fd& read_end, base::unique_fd& write_end) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return false;
  read_end.reset(ends[0]);
  write_end.reset(ends[1]);
  return true;
}

}  // namespace

start_failure start_child(const run_spec& spec, const node_cgroup& cgroup, child& out) {
  base::unique_fd their_out;
  base::unique_fd their_err;
  base::unique_fd their_release;
  base::unique_fd their_error;
  if (!make_output_pipe(spec, out.out, their_out) || !make_output_pipe(spec, out.err, their_err) ||
      !make_pipe(their_release, out.release) || !make_pipe(out.error, their_error))
    return {exec_stage::pipes, errno};
  const child_ends ends{their_out.get(), their_err.get(), their_release.get(), their_error.get()};
  // A signal for the node that comes before its exec waits until then: the shim ignores most of them, and what is
  // ignored and not blocked would be lost.
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  sigprocmask(SIG_BLOCK, &all, &before);
  // In the child of the bare system call the C library's idea of its own thread is wrong, which only matters to locks
  // and raise().
  const node_cgroup* to_enter = nullptr;
  out.pid = cgroup ? cgroup.fork_into() : -1;
  if (out.pid < 0) {
    to_enter = cgroup ? &cgroup : nullptr;
    out.pid = _Fork();
  }
  const int fork_error = errno;
  if (out.pid != 0) sigprocmask(SIG_SETMASK, &before, nullptr);
  if (out.pid < 0) return {exec_stage::fork, fork_error};
  if (out.pid == 0) {
    // The copy of our own end must go, or the child would never see that the shim has died.
    close(out.release.get());
    child_main(spec, ends, to_enter);
  }
  return {};
}

void release_child(child& c) {
  const char byte = 1;
  // A failure means that the child is dead; the reaper tells.
  if (write(c.release.get(), &byte, 1) < 0) c.release.reset();
  c.release.reset();
}

start_failure read_start_failure(const child& c) {
  start_failure failure;
  ssize_t got = 0;
  do got = read(c.error.get(), &failure, sizeof failure);
  while (got < 0 && errno == EINTR);
  return got == static_cast<ssize_t>(sizeof failure) ? failure : start_failure{};
}

}  // namespace hasup::shim
