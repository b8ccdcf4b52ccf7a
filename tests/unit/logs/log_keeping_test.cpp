// The keeper on real files: killed at any point, beside a shim that rotates, on a full disk.
#include "logs/log_keeping.hpp"

#include <signal.h>
#include <spawn.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/wait.h>

#include <set>
#include <thread>

#include "logs/node_files.hpp"
#include "unit/logs/log_directory.hpp"

using namespace hasup;
using namespace hasup::logs;
using namespace hasup::logs::test;

namespace {

const retention compressing{.compress = true};

std::set<std::string> names(const log_directory& d) {
  std::set<std::string> all;
  for (const auto& e : fs::directory_iterator(d.path))
    if (e.path().filename() != ".keeping") all.insert(e.path().filename());
  return all;
}

std::vector<std::string> whole_log(const log_directory& d) {
  log_reader r(d.log());
  REQUIRE(r.open(0).has_value());
  auto all = rest(r);
  CHECK(r.damaged().empty());
  return all;
}

pid_t start_worker(const log_directory& d) {
  const std::string program = std::string(HASUP_BIN_DIR) + "/hasup-worker-logs";
  std::vector<std::string> words{program, "keep", d.path, "leap.log", "10", "0", "0", "1"};
  std::vector<char*> argv;
  for (auto& w : words) argv.push_back(w.data());
  argv.push_back(nullptr);
  pid_t pid = 0;
  REQUIRE(::posix_spawn(&pid, program.c_str(), nullptr, nullptr, argv.data(), environ) == 0);
  return pid;
}

int exit_of(pid_t pid) {
  int status = 0;
  REQUIRE(::waitpid(pid, &status, 0) == pid);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

}  // namespace

TEST_CASE("rotated files are compressed, the current one is not, and times and modes stay") {
  log_directory d;
  append_lines(d.old(2), 0, 100);
  append_lines(d.old(1), 100, 200);
  append_lines(d.log(), 200, 210);
  REQUIRE(::chmod(d.old(2).c_str(), 0604) == 0);
  timespec times[2]{{5000, 0}, {5000, 7}};
  REQUIRE(::utimensat(AT_FDCWD, d.old(2).c_str(), times, 0) == 0);
  const auto r = keep_log(d.log(), compressing, 0);
  CHECK(r.compressed == 2);
  CHECK(r.problems.empty());
  CHECK(names(d) == std::set<std::string>{"leap.log", "leap.log.1.zst", "leap.log.2.zst"});
  CHECK(whole_log(d) == numbers(0, 210));
  struct stat s {};
  REQUIRE(::stat((d.old(2) + ".zst").c_str(), &s) == 0);
  CHECK((s.st_mode & 0777) == 0604);
  CHECK(s.st_mtim.tv_sec == 5000);
  CHECK(keep_log(d.log(), compressing, 0).compressed == 0);
}

TEST_CASE("age and sum delete compressed and plain files, and no file of another log") {
  log_directory d;
  for (int n = 1; n <= 5; ++n) append_lines(d.old(n), 0, 100);
  append_lines(d.log(), 0, 1);
  append_lines(d.path + "/leap.log.9x", 0, 1);
  append_lines(d.path + "/leap2.log.5", 0, 1);
  compress(d.old(5));
  timespec times[2]{{1000, 0}, {1000, 0}};
  REQUIRE(::utimensat(AT_FDCWD, (d.old(5) + ".zst").c_str(), times, 0) == 0);
  retention rule;
  rule.max_age = std::chrono::hours(1);
  rule.max_total = 2 * fs::file_size(d.old(1));
  const auto now_ns = origin_of([&] {
                        struct stat s {};
                        REQUIRE(::stat(d.log().c_str(), &s) == 0);
                        return s;
                      }())
                          .written_ns;
  CHECK(keep_log(d.log(), rule, now_ns).removed == 3);
  CHECK(names(d) == std::set<std::string>{"leap.log", "leap.log.1", "leap.log.2", "leap.log.9x", "leap2.log.5"});
}

TEST_CASE("what a killed keeper left is finished by the next one") {
  log_directory d;
  append_lines(d.old(1), 0, 10);
  append_lines(d.log(), 10, 11);
  // Half a temporary file; and a compressed one whose original is still there.
  append(d.log() + ".zst.tmp", "half");
  fs::copy_file(d.old(1), d.path + "/copy");
  {
    const base::unique_fd from(::open(d.old(1).c_str(), O_RDONLY | O_CLOEXEC));
    const base::unique_fd to(::open((d.old(1) + ".zst").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0640));
    REQUIRE(compress_file(from.get(), to.get()).has_value());
  }
  CHECK(whole_log(d) == numbers(0, 11));
  keep_log(d.log(), compressing, 0);
  CHECK(names(d) == std::set<std::string>{"leap.log", "leap.log.1.zst", "copy"});
  CHECK(whole_log(d) == numbers(0, 11));
}

TEST_CASE("a keeper killed at any time loses nothing, while the log is rotated") {
  log_directory d;
  int written = 0;
  const auto write_more = [&] {
    append_lines(d.log(), written, written + 3000);
    written += 3000;
  };
  write_more();
  for (int round = 0; round < 40; ++round) {
    {
      // As a shim: renames under the shared lock.
      const base::unique_fd directory(::open(d.path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
      REQUIRE(::flock(directory.get(), LOCK_SH) == 0);
      if (!fs::exists(d.old(7)) && !fs::exists(d.old(7) + ".zst")) rotate(d);
    }
    write_more();
    const auto pid = start_worker(d);
    std::this_thread::sleep_for(std::chrono::microseconds(400 * round));  // any moment will do
    ::kill(pid, SIGKILL);
    exit_of(pid);
    REQUIRE(whole_log(d).size() == static_cast<std::size_t>(written));
  }
  CHECK(exit_of(start_worker(d)) == 0);
  CHECK(whole_log(d) == numbers(0, written));
  for (const auto& name : names(d)) CHECK((name == "leap.log" || name.ends_with(".zst")));
}

TEST_CASE("a second keeper of the same directory leaves at once") {
  log_directory d;
  append_lines(d.old(1), 0, 10);
  base::unique_fd lock;
  REQUIRE(lock_keeping(d.path, lock));
  CHECK(exit_of(start_worker(d)) == 75);
  CHECK(fs::exists(d.old(1)));
  lock.reset();
  CHECK(exit_of(start_worker(d)) == 0);
  CHECK(fs::exists(d.old(1) + ".zst"));
}

TEST_CASE("without room for the compressed file the original stays, and the keeper says so") {
  log_directory d;
  if (::mount("tmpfs", d.path.c_str(), "tmpfs", 0, "size=64k") != 0) {
    WARN("skipped: this process may not mount a small tmpfs");
    return;
  }
  append_lines(d.old(1), 0, 1000);
  std::ofstream filler(d.path + "/filler");
  while (filler << std::string(1024, 'x') << std::flush) {
  }
  const auto r = keep_log(d.log(), compressing, 0);
  CHECK(r.compressed == 0);
  REQUIRE(r.problems.size() == 1);
  CHECK(r.problems[0].find("No space left") != std::string::npos);
  CHECK(names(d) == std::set<std::string>{"leap.log.1", "filler"});
  filler.close();
  ::umount2(d.path.c_str(), MNT_DETACH);
}

TEST_CASE("what a node wrote to its own file since a mark, over both kinds of rotation") {
  log_directory d;
  const auto none = mark_file(d.log());
  CHECK(none.inode == 0);
  append(d.log(), "before\n");
  const auto mark = mark_file(d.log());
  CHECK(lines_since(mark, 1000).empty());
  CHECK(lines_since(none, 1000) == "before\n");
  append(d.log(), "one\ntwo");
  CHECK(lines_since(mark, 1000) == "one\ntwo\n");
  CHECK(lines_since(mark, 4) == "two\n");
  append(d.log(), "\n");
  fs::rename(d.log(), d.old(1));
  CHECK(lines_since(mark, 1000) == "one\ntwo\n");
  append(d.log(), "three\n");
  CHECK(lines_since(mark, 1000) == "one\ntwo\nthree\n");
  CHECK(lines_since(mark, 11) == "two\nthree\n");
  const auto second = mark_file(d.log());
  fs::resize_file(d.log(), 0);
  append(d.log(), "4\n");
  CHECK(lines_since(second, 1000) == "4\n");
}
