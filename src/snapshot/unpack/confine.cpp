#include "snapshot/unpack/confine.hpp"

#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/landlock.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstddef>
#include <string>

#include "base/unique_fd.hpp"

namespace hasup::snapshot {
namespace {

// Newer than the headers of the oldest supported distribution.
constexpr std::uint64_t access_refer = 1ULL << 13U;     // Landlock ABI 2
constexpr std::uint64_t access_truncate = 1ULL << 14U;  // ABI 3

std::uint64_t writing_rights(long abi) {
  std::uint64_t rights = LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_REMOVE_DIR |
                         LANDLOCK_ACCESS_FS_REMOVE_FILE | LANDLOCK_ACCESS_FS_MAKE_CHAR | LANDLOCK_ACCESS_FS_MAKE_DIR |
                         LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_MAKE_SOCK | LANDLOCK_ACCESS_FS_MAKE_FIFO |
                         LANDLOCK_ACCESS_FS_MAKE_BLOCK | LANDLOCK_ACCESS_FS_MAKE_SYM;
  rights |= access_refer;
  if (abi >= 3) rights |= access_truncate;
  return rights;
}

// What unpacking does in its own directory: no devices, no sockets, no pipes.
std::uint64_t granted_rights(long abi) {
  return writing_rights(abi) & ~(std::uint64_t{LANDLOCK_ACCESS_FS_MAKE_CHAR} | LANDLOCK_ACCESS_FS_MAKE_BLOCK |
                                 LANDLOCK_ACCESS_FS_MAKE_SOCK | LANDLOCK_ACCESS_FS_MAKE_FIFO);
}

outcome<void> allow(int ruleset, const std::string& dir, std::uint64_t rights) {
  const base::unique_fd fd(::open(dir.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!fd) return system_failure("open " + dir, errno);
  landlock_path_beneath_attr rule{};
  rule.allowed_access = rights;
  rule.parent_fd = fd.get();
  if (::syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) != 0)
    return system_failure("landlock rule for " + dir, errno);
  return {};
}

outcome<void> restrict_writing(const ports::worker_job& job) {
  const long abi = ::syscall(SYS_landlock_create_ruleset, nullptr, 0, LANDLOCK_CREATE_RULESET_VERSION);
  // Before ABI 2 nothing may move from one directory to another at all, and unpacking has to.
  if (abi < 2) return {};
  landlock_ruleset_attr attributes{};
  attributes.handled_access_fs = writing_rights(abi);
  const base::unique_fd ruleset(
      static_cast<int>(::syscall(SYS_landlock_create_ruleset, &attributes, sizeof attributes, 0)));
  if (!ruleset) return {};
  if (auto own = allow(ruleset.get(), job.data_dir + "/.hasup", granted_rights(abi)); !own) return own;
  for (const auto& answer : {job.result_path, job.progress_path}) {
    const auto slash = answer.rfind('/');
    if (slash == std::string::npos) continue;
    if (auto dir = allow(ruleset.get(), answer.substr(0, slash + 1), granted_rights(abi)); !dir) return dir;
  }
  if (::syscall(SYS_landlock_restrict_self, ruleset.get(), 0) != 0) return system_failure("landlock", errno);
  return {};
}

constexpr sock_filter statement(unsigned code, unsigned k) {
  return {static_cast<__u16>(code), 0, 0, k};
}
constexpr sock_filter jump(unsigned code, unsigned k, unsigned yes, unsigned no) {
  return {static_cast<__u16>(code), static_cast<__u8>(yes), static_cast<__u8>(no), k};
}

// No socket of any kind, no other program. io_uring too, since it does both past this filter.
void refuse_calls() {
#if defined(__x86_64__)
  constexpr unsigned arch = AUDIT_ARCH_X86_64;
#elif defined(__aarch64__)
  constexpr unsigned arch = AUDIT_ARCH_AARCH64;
#else
#error "hasup is built for x86-64 and arm64"
#endif
  constexpr std::array<unsigned, 5> refused{SYS_socket, SYS_connect, SYS_execve, SYS_execveat,
                                            425 /* io_uring_setup */};
  constexpr auto load = BPF_LD | BPF_W | BPF_ABS;
  constexpr auto equal = BPF_JMP | BPF_JEQ | BPF_K;
  constexpr auto answer = BPF_RET | BPF_K;
  std::array<sock_filter, 6 + refused.size()> program{};
  std::size_t n = 0;
  program[n++] = statement(load, offsetof(seccomp_data, arch));
  program[n++] = jump(equal, arch, 1, 0);
  program[n++] = statement(answer, SECCOMP_RET_KILL_PROCESS);
  program[n++] = statement(load, offsetof(seccomp_data, nr));
  for (std::size_t i = 0; i < refused.size(); ++i)
    program[n++] = jump(equal, refused[i], static_cast<unsigned>(refused.size() - i), 0);
  program[n++] = statement(answer, SECCOMP_RET_ALLOW);
  program[n++] = statement(answer, SECCOMP_RET_ERRNO | EPERM);
  const sock_fprog all{static_cast<unsigned short>(n), program.data()};
  ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &all);  // a kernel without it goes on without it
}

}  // namespace

outcome<void> confine_unpacking(const ports::worker_job& job) {
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return {};
  if (::access((job.data_dir + "/.hasup").c_str(), F_OK) != 0)
    return refusal(job.data_dir + "/.hasup is not there: nothing was fetched; fetch a snapshot first");
  if (auto restricted = restrict_writing(job); !restricted) return restricted;
  refuse_calls();
  return {};
}

}  // namespace hasup::snapshot
