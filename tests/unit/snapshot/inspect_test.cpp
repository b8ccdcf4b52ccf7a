// Who has a data directory open: real processes that hold it in every way there is.
#include "snapshot/inspect.hpp"

#include <fcntl.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/wait.h>

#include "temp_tree.hpp"

using namespace hasup;
using namespace hasup::test;
using ports::worker_failure;

namespace {

// A python process that runs `code`, says so, and then waits to be killed.
class holder {
 public:
  explicit holder(const std::string& code) {
    int ready[2];
    REQUIRE(::pipe2(ready, O_CLOEXEC) == 0);
    pid_ = ::fork();
    if (pid_ == 0) {
      ::dup2(ready[1], 1);
      const auto script = code + "\nprint('ready', flush=True)\nimport time\nwhile True: time.sleep(60)\n";
      ::execl("/usr/bin/python3", "python3", "-c", script.c_str(), nullptr);
      ::_exit(127);
    }
    ::close(ready[1]);
    char c = 0;
    const bool said = ::read(ready[0], &c, 1) == 1;
    ready_ = ready[0];  // open until the end: a second write of the process must not fail
    REQUIRE(said);
  }
  holder(const holder&) = delete;
  holder& operator=(const holder&) = delete;
  ~holder() {
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
    ::close(ready_);
  }
  [[nodiscard]] pid_t pid() const { return pid_; }

 private:
  pid_t pid_ = -1;
  int ready_ = -1;
};

class data_dir {
 public:
  data_dir() {
    put(dir() + "/state/db", std::string(8192, 'x'));
    job.data_dir = dir();
    job.locks = {"state/db"};
  }
  std::string dir() const { return root_ / "node"; }
  std::string db() const { return dir() + "/state/db"; }
  ports::worker_job job;

 private:
  temp_tree root_;
};

}  // namespace

TEST_CASE("every way to write to the data is found, with pid and command", "[inspect]") {
  data_dir d;
  std::string code = GENERATE(as<std::string>{}, "f=open('DIR/state/db','r+b')",
                              "import fcntl\nf=open('DIR/state/db','r+b')\nfcntl.lockf(f,fcntl.LOCK_EX)",
                              "import fcntl\nf=open('DIR/state/db','rb')\nfcntl.lockf(f,fcntl.LOCK_SH)",
                              "import mmap,os\nf=os.open('DIR/state/db',os.O_RDWR)\nm=mmap.mmap(f,4096)\nos.close(f)",
                              "import os\nf=open('DIR/state/gone','w')\nos.unlink('DIR/state/gone')");
  for (auto at = code.find("DIR"); at != std::string::npos; at = code.find("DIR")) code.replace(at, 3, d.dir());
  const holder h(code);
  const auto out = snapshot::inspect(d.job);
  INFO(code << ": " << out.error);
  CHECK(out.failure == worker_failure::writer);
  REQUIRE(out.writer);
  CHECK(out.writer->pid == h.pid());
  CHECK(out.writer->command == "python3 …");  // its arguments may be secrets
  CHECK(out.writer->path.find(d.dir()) == 0);
  CHECK(out.data_dir_exists);
  d.job.tolerated = {h.pid()};
  int files = 0;
  CHECK(snapshot::inspect(d.job, [&] { ++files; }).ok());
  CHECK(files > 0);
}

TEST_CASE("who only reads, and what is open in .hasup, is no writer", "[inspect]") {
  data_dir d;
  put(d.dir() + "/.hasup/cache/a", "x");
  const holder reader("f=open('" + d.db() + "','rb')");
  const holder worker("f=open('" + d.dir() + "/.hasup/cache/a','r+b')");
  const auto out = snapshot::inspect(d.job);
  INFO(out.error);
  CHECK(out.ok());
  CHECK_FALSE(out.writer);
}

TEST_CASE("a writer is found through a bind mount and in a further directory", "[inspect]") {
  data_dir d;
  temp_tree other;
  put(other / "wal/x", "x");
  d.job.also = {other.path()};
  {
    const holder h("f=open('" + (other / "wal/x") + "','a')");
    const auto out = snapshot::inspect(d.job);
    REQUIRE(out.writer);
    CHECK(out.writer->pid == h.pid());
  }
  if (::geteuid() != 0 || ::mount(d.dir().c_str(), other.path().c_str(), nullptr, MS_BIND, nullptr) != 0) return;
  d.job.also.clear();
  {
    const holder h("f=open('" + (other / "state/db") + "','a')");
    const auto out = snapshot::inspect(d.job);
    CHECK(out.writer);
  }
  CHECK(::umount2(other.path().c_str(), MNT_DETACH) == 0);
}

TEST_CASE("the least that is free in any of the directories counts, also where one is still to be made",
          "[inspect]") {
  data_dir d;
  temp_tree small;
  d.job.also = {d.dir() + "/state", small / "history/deeper"};
  auto out = snapshot::inspect(d.job);
  const auto own = out.device;
  CHECK(out.least_free.empty());  // all are on one file system
  if (::geteuid() != 0 || ::mount("none", small.path().c_str(), "tmpfs", 0, "size=512k") != 0) return;
  out = snapshot::inspect(d.job);
  CHECK(out.least_free == small / "history/deeper");
  CHECK(out.free_bytes <= 512U << 10U);
  CHECK(out.device == own);
  CHECK(::umount2(small.path().c_str(), MNT_DETACH) == 0);
}

TEST_CASE("what is missing, empty, not mounted or half swapped is told", "[inspect]") {
  data_dir d;
  d.job.must_exist = {"state/db", "state/absent"};
  auto out = snapshot::inspect(d.job);
  CHECK(out.ok());
  CHECK(out.missing == std::vector<std::string>{"state/absent"});
  CHECK(out.data_dir_exists);
  CHECK_FALSE(out.data_dir_empty);
  CHECK_FALSE(out.half_swapped);
  CHECK(out.mounted);
  CHECK(out.free_bytes > 0);

  put(d.dir() + "/.hasup/swap.json", "{}");
  d.job.mounts = {"/proc", d.dir()};
  out = snapshot::inspect(d.job);
  CHECK(out.half_swapped);
  CHECK_FALSE(out.mounted);
  CHECK(out.unmounted == d.dir());
  d.job.mounts = {"/proc", "/sys"};
  CHECK(snapshot::inspect(d.job).mounted);

  fs::remove_all(d.dir() + "/state");
  fs::create_directory(d.dir() + "/lost+found");
  out = snapshot::inspect(d.job);
  CHECK(out.data_dir_empty);
  CHECK(out.missing.size() == 2);

  d.job.data_dir = d.dir() + "/absent/deeper";
  out = snapshot::inspect(d.job);
  CHECK(out.ok());
  CHECK_FALSE(out.data_dir_exists);
  CHECK(out.missing.size() == 2);
  CHECK(out.free_bytes > 0);
  CHECK_FALSE(there(d.job.data_dir));
}
