// Takes the claim: before anything else is touched, so that a second shim cannot disturb the first.
#include "shim/claim.hpp"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

namespace hasup::shim {

namespace {

base::unique_fd open_folder(int parent, const char* name) {
  if (mkdirat(parent, name, 0700) != 0 && errno != EEXIST) return {};
  return base::unique_fd(openat(parent, name, O_PATH | O_DIRECTORY | O_CLOEXEC));
}

}  // namespace

bool open_places(const char* state_dir, const char* run_dir, places& out, const char*& failed) {
  failed = state_dir;
  const base::unique_fd state(open(state_dir, O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!state) return false;
  out.claims = open_folder(state.get(), "claims");
  out.records = open_folder(state.get(), "records");
  out.evidence = open_folder(state.get(), "evidence");
  if (!out.claims || !out.records || !out.evidence) return false;
  failed = run_dir;
  const base::unique_fd run(open(run_dir, O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!run) return false;
  out.sockets = open_folder(run.get(), "shim");
  return static_cast<bool>(out.sockets);
}

claim_result take_claim(const places& p, const char* name, base::unique_fd& out) {
  out.reset(openat(p.claims.get(), name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!out) return claim_result::failed;
  // Of the open file, not of the process: a close elsewhere cannot lose it.
  struct flock lock {};
  lock.l_type = F_WRLCK;
  lock.l_whence = SEEK_SET;
  if (fcntl(out.get(), F_OFD_SETLK, &lock) == 0) return claim_result::held;
  return errno == EAGAIN || errno == EACCES ? claim_result::busy : claim_result::failed;
}

}  // namespace hasup::shim
