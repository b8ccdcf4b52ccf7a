// hasup-shim --state-dir DIR --run-dir DIR --name UNIT@N [--cgroup DIR]
//
// One per instance for as long as the unit is up: the node's parent, log writer and keeper of its exit status.
// Exit codes: 0 asked to end, 64 usage, 71 out of memory, 74 a directory or file cannot be used, 75 the claim is
// held.
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "process/capabilities.hpp"
#include "shim/claim.hpp"
#include "shim/proc.hpp"
#include "shim/shim.hpp"

namespace {

using hasup::base::unique_fd;
using hasup::shim::fixed_text;

enum exit_code { usage = 64, unusable = 74, busy = 75 };

struct arguments {
  const char* state_dir = nullptr;
  const char* run_dir = nullptr;
  const char* name = nullptr;
  const char* cgroup = nullptr;
};

bool parse(int argc, char** argv, arguments& out) {
  for (int i = 1; i + 1 < argc; i += 2) {
    if (strcmp(argv[i], "--state-dir") == 0)
      out.state_dir = argv[i + 1];
    else if (strcmp(argv[i], "--run-dir") == 0)
      out.run_dir = argv[i + 1];
    else if (strcmp(argv[i], "--name") == 0)
      out.name = argv[i + 1];
    else if (strcmp(argv[i], "--cgroup") == 0)
      out.cgroup = argv[i + 1];
    else
      return false;
  }
  return argc % 2 == 1 && out.state_dir && out.run_dir && out.name && out.state_dir[0] == '/' &&
         out.run_dir[0] == '/' && out.name[0] != 0 && out.name[0] != '.' && !strchr(out.name, '/');
}

int fail(int code, const char* what, const char* why) {
  fixed_text<1024> text;
  text << "hasup-shim: " << what;
  if (why) text << ": " << why;
  text << "\n";
  if (write(STDERR_FILENO, text.c_str(), text.size()) < 0) return code;
  return code;
}

// The first connection is handed over as standard input, so that nobody has to wait for the socket's file.
unique_fd first_connection() {
  struct stat info;
  if (fstat(STDIN_FILENO, &info) != 0 || !S_ISSOCK(info.st_mode)) return {};
  return unique_fd(fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3));
}

// Only `exit` ends a shim, never a signal that was meant for a session or for everybody.
void ignore_signals() {
  struct sigaction action {};
  action.sa_handler = SIG_IGN;
  for (const int number :
       {SIGPIPE, SIGHUP, SIGINT, SIGTERM, SIGQUIT, SIGUSR1, SIGUSR2, SIGALRM, SIGXFSZ, SIGTSTP, SIGTTIN, SIGTTOU})
    sigaction(number, &action, nullptr);
}

// A shim of root's uses what it needs and no more. Only the effective set: what it may give to a node stays
// permitted, and the bounding set, which the nodes inherit, stays whole, so that one that runs as root has all that
// root has.
void lay_down_capabilities() {
  constexpr unsigned needed[] = {CAP_CHOWN,      CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH, CAP_FOWNER,
                                 CAP_KILL,       CAP_SETGID,       CAP_SETUID,          CAP_SETPCAP,
                                 CAP_SYS_PTRACE, CAP_SYS_NICE,     CAP_SYS_RESOURCE};
  hasup::process::capability_state now;
  if (geteuid() != 0 || !hasup::process::read_capabilities(now)) return;
  uint64_t wanted = 0;
  for (const unsigned number : needed) wanted |= uint64_t{1} << number;
  now.effective &= wanted;
  hasup::process::set_capabilities(now);
}

bool detach_from_starter() {
  setsid();  // fails when it leads a session already, which is as good
  umask(022);
  if (chdir("/") != 0) return false;
  const int null = open("/dev/null", O_RDWR | O_CLOEXEC);
  if (null < 0) return false;
  for (const int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO})
    if (dup2(null, fd) < 0) return false;
  if (null > STDERR_FILENO) close(null);
  return prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0;
}

// Static storage: it lives as long as the process, and no stack is large enough to waste.
alignas(hasup::shim::shim) char shim_memory[sizeof(hasup::shim::shim)];

}  // namespace

inline void* operator new(size_t, void* place, int) noexcept {
  return place;
}

int main(int argc, char** argv) {
  arguments given;
  if (!parse(argc, argv, given))
    return fail(usage, "usage: hasup-shim --state-dir DIR --run-dir DIR --name UNIT@N [--cgroup DIR]", nullptr);
  ignore_signals();
  if (given.cgroup) hasup::shim::move_self(given.cgroup);
  hasup::shim::places places;
  const char* failed = nullptr;
  if (!hasup::shim::open_places(given.state_dir, given.run_dir, places, failed))
    return fail(unusable, failed, strerrordesc_np(errno));
  unique_fd claim;
  switch (hasup::shim::take_claim(places, given.name, claim)) {
    case hasup::shim::claim_result::held:
      break;
    case hasup::shim::claim_result::busy:
      return fail(busy, given.name, "another shim holds the claim");
    case hasup::shim::claim_result::failed:
      return fail(unusable, "the claim", strerrordesc_np(errno));
  }
  lay_down_capabilities();
  unique_fd connection = first_connection();
  auto* shim = new (shim_memory, 0) hasup::shim::shim();
  if (!shim->open(places, given.name, static_cast<unique_fd&&>(claim), static_cast<unique_fd&&>(connection), failed))
    return fail(unusable, failed, strerrordesc_np(errno));
  if (!detach_from_starter()) return unusable;
  shim->work();
}
