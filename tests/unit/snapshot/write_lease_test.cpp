// Who writes is known from the kernel's own count, also where /proc would not tell.
#include "snapshot/write_lease.hpp"

#include <fcntl.h>
#include <linux/sched.h>
#include <signal.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <array>
#include <functional>
#include <string>
#include <vector>

#include "base/unique_fd.hpp"
#include "snapshot/inspect.hpp"
#include "temp_tree.hpp"

using namespace hasup;
using namespace hasup::test;
using snapshot::ask_for_writers;
using snapshot::writing;

namespace {

const bool no_sigio = ::signal(SIGIO, SIG_IGN) != SIG_ERR;  // as the worker does

struct data {
  explicit data(bool in_memory = false) : root(in_memory) {
    put(root / "state/db", std::string(8192, 'x'));
    put(root / "log", "x");
    job.data_dir = root.path();
    job.seen_free = true;
  }
  [[nodiscard]] std::string db() const { return root / "state/db"; }
  [[nodiscard]] snapshot::lease_answer ask() const { return ask_for_writers({root.path()}, {root / ".hasup"}); }
  [[nodiscard]] base::unique_fd open(int flags) const { return base::unique_fd(::open(db().c_str(), flags)); }

  temp_tree root;
  ports::worker_job job;
};

// A copy of this process that does `work`, says so, and waits to be killed. With `wanted` it gets that pid.
class child {
 public:
  explicit child(const std::function<void()>& work, pid_t wanted = 0) {
    std::array<int, 2> ready{};
    REQUIRE(::pipe2(ready.data(), O_CLOEXEC) == 0);
    const base::unique_fd ours(ready[0]);
    base::unique_fd theirs(ready[1]);
    pid_ = wanted == 0 ? ::fork() : fork_as(wanted);
    if (pid_ == 0) {
      work();
      const char c = 'r';
      if (::write(theirs.get(), &c, 1) != 1) ::_exit(1);
      for (;;) ::pause();
    }
    theirs.reset();
    char c = 0;
    if (pid_ > 0) REQUIRE(::read(ours.get(), &c, 1) == 1);
  }
  child(const child&) = delete;
  child& operator=(const child&) = delete;
  ~child() { end(); }
  void end() {
    if (pid_ <= 0) return;
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
    pid_ = -1;
  }
  [[nodiscard]] pid_t pid() const { return pid_; }

 private:
  static pid_t fork_as(pid_t wanted) {
    clone_args args{};
    args.exit_signal = SIGCHLD;
    args.set_tid = reinterpret_cast<std::uintptr_t>(&wanted);
    args.set_tid_size = 1;
    return static_cast<pid_t>(::syscall(SYS_clone3, &args, sizeof args));
  }
  pid_t pid_ = -1;
};

}  // namespace

TEST_CASE("whoever has a file open for writing is somebody, on a disk and in memory", "[write_lease]") {
  REQUIRE(no_sigio);
  data d(GENERATE(false, true));
  CHECK(d.ask().who == writing::nobody);
  {
    const auto reader = d.open(O_RDONLY);
    CHECK(d.ask().who == writing::nobody);
  }
  {
    const auto writer = d.open(O_RDWR);
    const auto answer = d.ask();
    CHECK(answer.who == writing::somebody);
    CHECK(answer.path == d.db());
  }
  CHECK(d.ask().who == writing::nobody);
}

TEST_CASE("a shared map keeps a file open when its descriptor is closed; a private one does not write",
          "[write_lease]") {
  data d;
  auto fd = d.open(O_RDWR);
  void* shared = ::mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd.get(), 0);
  REQUIRE(shared != MAP_FAILED);
  fd.reset();
  CHECK(d.ask().who == writing::somebody);
  REQUIRE(::munmap(shared, 4096) == 0);
  CHECK(d.ask().who == writing::nobody);
  fd = d.open(O_RDONLY);
  void* own = ::mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd.get(), 0);
  REQUIRE(own != MAP_FAILED);
  fd.reset();
  CHECK(d.ask().who == writing::nobody);
  REQUIRE(::munmap(own, 4096) == 0);
}

TEST_CASE("a descriptor that is on its way through a socket counts, although no process has it", "[write_lease]") {
  data d;
  std::array<int, 2> ends{};
  REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) == 0);
  {
    const base::unique_fd from(ends[0]);
    const base::unique_fd to(ends[1]);
    auto fd = d.open(O_RDWR);
    alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> control{};
    char byte = 0;
    iovec data_of{&byte, 1};
    msghdr message{};
    message.msg_iov = &data_of;
    message.msg_iovlen = 1;
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    cmsghdr* const header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(int));
    const int number = fd.get();
    std::copy_n(reinterpret_cast<const unsigned char*>(&number), sizeof number, CMSG_DATA(header));
    REQUIRE(::sendmsg(from.get(), &message, 0) == 1);
    fd.reset();
    CHECK(d.ask().who == writing::somebody);
  }
  CHECK(d.ask().who == writing::nobody);
}

TEST_CASE("what is in .hasup, what is gone and what is no file is not asked; a directory that is not there is free",
          "[write_lease]") {
  data d;
  put(d.root / ".hasup/cache/a", "x");
  put(d.root / "state/.hasup", "x");
  const base::unique_fd cached(::open((d.root / ".hasup/cache/a").c_str(), O_RDWR | O_CLOEXEC));
  REQUIRE(::mkfifo((d.root / "pipe").c_str(), 0600) == 0);
  REQUIRE(::symlink("/nowhere", (d.root / "link").c_str()) == 0);
  CHECK(d.ask().who == writing::nobody);
  CHECK(ask_for_writers({d.root / "absent"}).who == writing::nobody);
  const base::unique_fd inner(::open((d.root / "state/.hasup").c_str(), O_RDWR | O_CLOEXEC));
  CHECK(d.ask().who == writing::somebody);  // only the one at the top is hasup's
}

TEST_CASE("where the kernel keeps no such count the answer is unknown", "[write_lease]") {
  CHECK(ask_for_writers({"/proc/self"}).who == writing::unknown);
  data d;
  CHECK(ask_for_writers({d.root.path(), "/proc/self"}).who == writing::unknown);
}

TEST_CASE("after a look that found nobody, every writer that has come since is found and named", "[write_lease]") {
  data d;
  CHECK(snapshot::inspect(d.job).ok());
  const child holder([&] { static_cast<void>(d.open(O_RDWR).release()); });
  const auto out = snapshot::inspect(d.job);
  REQUIRE(out.writer);
  CHECK(out.failure == ports::worker_failure::writer);
  CHECK(out.writer->pid == holder.pid());
  CHECK(out.writer->path == d.db());
  d.job.tolerated = {holder.pid()};
  CHECK(snapshot::inspect(d.job).ok());
}

TEST_CASE("a lock that a reader holds is found without any writer", "[write_lease]") {
  data d;
  d.job.locks = {"state/db"};
  const child holder([&] {
    const int fd = d.open(O_RDONLY).release();
    struct flock lock {};
    lock.l_type = F_RDLCK;
    lock.l_whence = SEEK_SET;
    if (::fcntl(fd, F_SETLK, &lock) != 0) ::_exit(1);
  });
  const auto out = snapshot::inspect(d.job);
  REQUIRE(out.writer);
  CHECK(out.writer->pid == holder.pid());
}

TEST_CASE("a writer with the pid of a process that was seen before is found", "[write_lease]") {
  data d;
  child harmless([] {});
  const auto pid = harmless.pid();
  CHECK(snapshot::inspect(d.job).ok());
  harmless.end();
  const child writer([&] { static_cast<void>(d.open(O_RDWR).release()); }, pid);
  if (writer.pid() < 0) return;  // not root: pids cannot be chosen
  REQUIRE(writer.pid() == pid);
  const auto out = snapshot::inspect(d.job);
  REQUIRE(out.writer);
  CHECK(out.writer->pid == pid);
}

TEST_CASE("a writer whose process cannot be read is not taken for nobody", "[write_lease]") {
  if (::geteuid() != 0) return;  // it takes two users
  data d;
  constexpr uid_t nobody = 65534;
  for (const auto& path : {d.root.path(), d.root / "state", d.db(), d.root / "log"})
    REQUIRE(::chown(path.c_str(), nobody, nobody) == 0);
  d.job.seen_free = GENERATE(true, false);
  const child writer([&] { static_cast<void>(d.open(O_RDWR).release()); });
  const pid_t asking = ::fork();
  if (asking == 0) {
    if (::setresgid(nobody, nobody, nobody) != 0 || ::setresuid(nobody, nobody, nobody) != 0) ::_exit(2);
    const auto out = snapshot::inspect(d.job);
    ::_exit(out.writer && out.writer->pid == 0 && out.failure == ports::worker_failure::writer ? 0 : 1);
  }
  int status = 0;
  REQUIRE(::waitpid(asking, &status, 0) == asking);
  CHECK(status == 0);
}

TEST_CASE("among five thousand processes the one that writes is found, and its end", "[write_lease]") {
  data d;
  std::vector<pid_t> crowd;
  struct ending {
    std::vector<pid_t>& pids;
    ~ending() {
      for (const auto pid : pids) ::kill(pid, SIGKILL);
      for (const auto pid : pids) ::waitpid(pid, nullptr, 0);
    }
  } const end{crowd};
  // Of a program of its own, since copies of this one take minutes under a sanitizer; a test that is killed leaves no
  // thousands behind.
  std::array<std::string, 5> words{"setpriv", "--pdeathsig", "KILL", "sleep", "infinity"};
  std::array<char*, 6> command{};
  for (std::size_t i = 0; i < words.size(); ++i) command[i] = words[i].data();
  while (crowd.size() < 5000) {
    pid_t pid = 0;
    if (::posix_spawnp(&pid, command[0], nullptr, nullptr, command.data(), environ) == 0) {
      crowd.push_back(pid);
      continue;
    }
    // No more are allowed; some are left to what follows, and to other tests.
    for (int i = 0; i < 300 && !crowd.empty(); ++i) {
      ::kill(crowd.back(), SIGKILL);
      ::waitpid(crowd.back(), nullptr, 0);
      crowd.pop_back();
    }
    break;
  }
  REQUIRE(crowd.size() > 100);
  CHECK(snapshot::inspect(d.job).ok());
  child writer([&] { static_cast<void>(d.open(O_RDWR).release()); });
  const auto out = snapshot::inspect(d.job);
  REQUIRE(out.writer);
  CHECK(out.writer->pid == writer.pid());
  writer.end();
  CHECK(snapshot::inspect(d.job).ok());
}
