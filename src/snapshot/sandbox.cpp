#include "snapshot/sandbox.hpp"

#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/landlock.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <filesystem>
#include <thread>

#include "base/unique_fd.hpp"
#include "snapshot/volumes.hpp"

namespace hasup::snapshot {
namespace {

// Newer than the headers of the oldest supported distribution.
constexpr std::uint64_t access_refer = 1ULL << 13U;     // Landlock ABI 2
constexpr std::uint64_t access_truncate = 1ULL << 14U;  // ABI 3

constexpr std::uint64_t special = LANDLOCK_ACCESS_FS_MAKE_CHAR | LANDLOCK_ACCESS_FS_MAKE_BLOCK |
                                  LANDLOCK_ACCESS_FS_MAKE_SOCK | LANDLOCK_ACCESS_FS_MAKE_FIFO;
constexpr std::uint64_t reading = LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR;
constexpr std::uint64_t removing = LANDLOCK_ACCESS_FS_REMOVE_DIR | LANDLOCK_ACCESS_FS_REMOVE_FILE;
constexpr std::uint64_t of_files = LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE | access_truncate;

constexpr rlim_t open_files = 1024;
[[maybe_unused]] constexpr unsigned x32_calls = 0x40000000;

std::uint64_t writing(long abi) {
  std::uint64_t rights = LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_REMOVE_DIR |
                         LANDLOCK_ACCESS_FS_REMOVE_FILE | LANDLOCK_ACCESS_FS_MAKE_DIR | LANDLOCK_ACCESS_FS_MAKE_REG |
                         LANDLOCK_ACCESS_FS_MAKE_SYM | special;
  if (abi >= 2) rights |= access_refer;
  if (abi >= 3) rights |= access_truncate;
  return rights;
}

// What is not there is left out: whoever needs it says so in its own words.
outcome<void> allow(int ruleset, const std::string& path, std::uint64_t rights) {
  const base::unique_fd fd(::open(path.c_str(), O_PATH | O_CLOEXEC));
  struct stat st {};
  if (!fd || ::fstat(fd.get(), &st) != 0) return {};
  landlock_path_beneath_attr rule{};
  rule.allowed_access = S_ISDIR(st.st_mode) ? rights : rights & of_files;
  rule.parent_fd = fd.get();
  if (rule.allowed_access == 0) return {};
  if (::syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) != 0)
    return system_failure("landlock rule for " + path, errno);
  return {};
}

// What the C library, TLS and name look-up read by themselves. Of /etc all but hasup's own, where secrets may be.
std::vector<std::string> needs_of_the_system() {
  std::vector<std::string> out{"/usr",
                               "/lib",
                               "/lib32",
                               "/lib64",
                               "/proc",
                               "/sys",
                               "/dev",
                               "/run/systemd/resolve",
                               "/run/resolvconf",
                               "/run/NetworkManager",
                               "/run/nscd",
                               "/var/lib/ca-certificates"};
  std::error_code ec;
  for (std::filesystem::directory_iterator i("/etc", ec), end; !ec && i != end; i.increment(ec))
    if (i->path().filename() != "hasup") out.push_back(i->path().string());
  return out;
}

// The ABI that holds now; 0: none does.
outcome<long> restrict_files(const bounds& b, long newest_landlock) {
  const long abi =
      std::min(::syscall(SYS_landlock_create_ruleset, nullptr, 0, LANDLOCK_CREATE_RULESET_VERSION), newest_landlock);
  // Before ABI 2 nothing may move from one directory to another at all.
  if (abi < (b.moves ? 2 : 1)) return 0;
  landlock_ruleset_attr attributes{};
  attributes.handled_access_fs = writing(abi) | (b.read ? reading : 0);
  const base::unique_fd ruleset(
      static_cast<int>(::syscall(SYS_landlock_create_ruleset, &attributes, sizeof attributes, 0)));
  if (!ruleset) return 0;
  auto own = attributes.handled_access_fs & ~special;
  if (!b.moves) own &= ~access_refer;
  const auto allow_all = [&ruleset](const std::vector<std::string>& paths, std::uint64_t rights) -> outcome<void> {
    for (const auto& path : paths)
      if (auto allowed = allow(ruleset.get(), path, rights); !allowed) return allowed;
    return {};
  };
  if (auto allowed = allow_all(b.write, own); !allowed) return allowed.error();
  if (auto allowed = allow_all(b.remove, (reading | removing) & attributes.handled_access_fs); !allowed)
    return allowed.error();
  if (b.read) {
    if (auto allowed = allow_all(b.list, LANDLOCK_ACCESS_FS_READ_DIR); !allowed) return allowed.error();
    if (auto allowed = allow_all(*b.read, reading); !allowed) return allowed.error();
    if (auto allowed = allow_all(needs_of_the_system(), reading); !allowed) return allowed.error();
  }
  if (::syscall(SYS_landlock_restrict_self, ruleset.get(), 0) != 0) return system_failure("landlock", errno);
  return abi;
}

constexpr sock_filter statement(unsigned code, unsigned k) {
  return {static_cast<__u16>(code), 0, 0, k};
}
constexpr sock_filter jump(unsigned code, unsigned k, unsigned yes, unsigned no) {
  return {static_cast<__u16>(code), static_cast<__u8>(yes), static_cast<__u8>(no), k};
}

constexpr auto load = BPF_LD | BPF_W | BPF_ABS;
constexpr auto equal = BPF_JMP | BPF_JEQ | BPF_K;
constexpr auto answer = BPF_RET | BPF_K;
constexpr unsigned allowed = SECCOMP_RET_ALLOW;
constexpr unsigned refused = SECCOMP_RET_ERRNO | EPERM;
constexpr unsigned unknown = SECCOMP_RET_ERRNO | ENOSYS;  // whoever has another way takes it

// O_TRUNC empties a file however it is opened, and Landlock before ABI 3 asks only how. So it goes with writing
// alone, which Landlock knows; the access mode 3 (neither, for ioctl) needs no right of it at all. `flags`: which
// argument of the call has them.
void refuse_to_empty(std::vector<sock_filter>& program, unsigned call, unsigned flags) {
  constexpr auto and_with = BPF_ALU | BPF_AND | BPF_K;
  static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the flags are the lower half of the argument");
  const auto argument = static_cast<unsigned>(offsetof(seccomp_data, args) + flags * sizeof(__u64));
  program.insert(program.end(),
                 {jump(equal, call, 0, 7), statement(load, argument), jump(BPF_JMP | BPF_JSET | BPF_K, O_TRUNC, 0, 4),
                  statement(and_with, O_ACCMODE), jump(equal, O_WRONLY, 2, 0), jump(equal, O_RDWR, 1, 0),
                  statement(answer, refused), statement(answer, allowed)});
}

// No other program, and without network no socket of any kind. io_uring neither, since it does all of it past this
// filter. truncate() by path, since Landlock before ABI 3 does not know it, and files by their handles: nobody here
// uses them. openat2 has its flags where they cannot be seen from here: with such a Landlock it is as on a kernel
// that has none (disk.cpp then goes by steps). Elsewhere it stays, because it alone tells every mount.
void refuse_calls(bool network, long landlock) {
#if defined(__x86_64__)
  constexpr unsigned arch = AUDIT_ARCH_X86_64;
#elif defined(__aarch64__)
  constexpr unsigned arch = AUDIT_ARCH_AARCH64;
#else
#error "hasup is built for x86-64 and arm64"
#endif
  std::vector<unsigned> calls{SYS_execve, SYS_execveat, SYS_truncate, SYS_open_by_handle_at,
                              425 /* io_uring_setup */};
  if (!network) calls.insert(calls.end(), {SYS_socket, SYS_connect});
  std::vector<sock_filter> program{statement(load, offsetof(seccomp_data, arch)), jump(equal, arch, 1, 0),
                                   statement(answer, SECCOMP_RET_KILL_PROCESS),
                                   statement(load, offsetof(seccomp_data, nr))};
#if defined(__x86_64__)
  // The same calls by other numbers, on kernels built with the x32 ABI.
  program.insert(program.end(), {jump(BPF_JMP | BPF_JGE | BPF_K, x32_calls, 0, 1), statement(answer, refused)});
  refuse_to_empty(program, SYS_open, 1);
#endif
  refuse_to_empty(program, SYS_openat, 2);
  if (landlock > 0 && landlock < 3)
    program.insert(program.end(), {jump(equal, SYS_openat2, 0, 1), statement(answer, unknown)});
  for (const auto call : calls) program.insert(program.end(), {jump(equal, call, 0, 1), statement(answer, refused)});
  program.push_back(statement(answer, allowed));
  const sock_fprog all{static_cast<unsigned short>(program.size()), program.data()};
  ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &all);  // a kernel without it goes on without it
}

// A core would hold what was read of others; descriptors only leak in such numbers.
void limit_resources([[maybe_unused]] std::uint64_t memory) {
  const rlimit no_core{0, 0};
  ::setrlimit(RLIMIT_CORE, &no_core);
#if !defined(__SANITIZE_ADDRESS__)  // it takes terabytes of addresses for itself
  rlimit data{};
  if (memory != 0 && ::getrlimit(RLIMIT_DATA, &data) == 0 && data.rlim_max > memory) {
    data = {memory, memory};
    ::setrlimit(RLIMIT_DATA, &data);
  }
#endif
  rlimit files{};
  if (::getrlimit(RLIMIT_NOFILE, &files) != 0 || files.rlim_max <= open_files) return;
  files = {open_files, open_files};
  ::setrlimit(RLIMIT_NOFILE, &files);
}

}  // namespace

std::vector<std::string> answer_directories(const ports::worker_job& job) {
  std::vector<std::string> out;
  for (const auto& answer : {job.result_path, job.progress_path}) {
    const auto slash = answer.rfind('/');
    if (slash == std::string::npos) continue;
    auto dir = answer.substr(0, slash + 1);
    if (out.empty() || out.front() != dir) out.push_back(std::move(dir));
  }
  return out;
}

std::uint64_t memory_to_unpack(std::uint64_t max_window) {
  if (max_window == 0) return 0;
  constexpr std::uint64_t mib = 1U << 20;
  constexpr std::uint64_t of_its_own = 96 * mib;  // its libraries' data, and the buffers that it shares out
  constexpr std::uint64_t stack = 8 * mib;        // of a thread, counted as a whole
  constexpr std::uint64_t threads = 4;            // beside those that decompress
  return max_window + of_its_own + (threads + std::thread::hardware_concurrency()) * stack;
}

bounds unpack_bounds(const ports::worker_job& job) {
  bounds b;
  const auto own = job.data_dir + "/.hasup/";
  b.write = answer_directories(job);
  b.write.insert(b.write.end(), {own + "lock", own + "staging"});
  std::vector<std::string> of_volumes;
  if (const auto rules = rules_of(job.plan, job))
    for (const auto& v : rules->volumes()) {
      const auto of_volume = job.data_dir + "/" + v + "/.hasup/";
      b.write.push_back(of_volume + "staging");
      of_volumes.push_back(of_volume + "volume");
    }
  b.moves = true;
  b.memory = memory_to_unpack(job.max_window);
  b.read = std::move(of_volumes);
  b.read->push_back(own + "swap.json");
  const bool links = std::any_of(job.plan.archives.begin(), job.plan.archives.end(), [](const auto& archive) {
    return !archive.as.empty() && archive.unpack != model::unpack_mode::archive;
  });
  (links ? b.write : *b.read).push_back(own + "cache");
  b.list = {job.data_dir};
  return b;
}

bounds ahead_bounds(const ports::worker_job& job) {
  auto unanswered = job;
  unanswered.result_path.clear();
  unanswered.progress_path.clear();
  return unpack_bounds(unanswered);
}

bounds examine_bounds(const ports::worker_job& job) {
  bounds b;
  b.write = answer_directories(job);
  b.read.emplace().push_back(job.file);
  b.memory = memory_to_unpack(job.max_window);
  return b;
}

bounds swap_bounds() {
  bounds b;
  b.watches_processes = true;
  return b;
}

outcome<void> enter_sandbox(const bounds& b, long newest_landlock) {
  limit_resources(b.memory);
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return {};
  long landlock = 0;
  if (!b.watches_processes) {
    const auto restricted = restrict_files(b, newest_landlock);
    if (!restricted) return restricted.error();
    landlock = *restricted;
  }
  refuse_calls(b.network, landlock);
  return {};
}

}  // namespace hasup::snapshot
