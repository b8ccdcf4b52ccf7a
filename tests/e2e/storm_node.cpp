// storm_node DIR ID TRAITS: the process that test_storm.py lets hasup supervise, two hundred times.
//
// It holds the lock DIR/lock/ID for life (what it forks inherits it: a second copy beside anything of the first is
// written to DIR/violations), numbers the lines that it prints, and keeps in DIR/runs/ID one record a run: pid, when
// it began, how many lines were written for sure, and how it is about to end. Traits: c ends by itself, o one-shot,
// t slow to obey SIGTERM, f forks, e forks children that leave its session. With DIR/calm nothing ends by itself.
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <random>
#include <string>

namespace {

volatile sig_atomic_t told_to_stop = 0;

void on_term(int) {
  told_to_stop = 1;
}

long long now_ms() {
  timespec t{};
  clock_gettime(CLOCK_REALTIME, &t);
  return static_cast<long long>(t.tv_sec) * 1000 + t.tv_nsec / 1'000'000;
}

void sleep_ms(long ms) {
  timespec t{ms / 1000, ms % 1000 * 1'000'000};
  nanosleep(&t, nullptr);
}

[[noreturn]] void give_up(const char* what) {
  perror(what);
  _exit(98);
}

void append(const std::string& path, const std::string& line) {
  const int fd = open(path.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
  if (fd < 0 || write(fd, line.data(), line.size()) < 0) give_up(path.c_str());
  close(fd);
}

class node {
 public:
  node(std::string dir, std::string id, std::string traits)
      : dir_(std::move(dir)), id_(std::move(id)), traits_(std::move(traits)), random_(std::random_device{}()) {}

  [[noreturn]] void work() {
    lock();
    begin_record();
    const bool one_shot = has('o');
    const long long ends_at = one_shot   ? began_ + between(100, 1200)
                              : has('c') ? began_ + between(500, 25'000)
                                         : began_ + 1'000'000'000;
    while (told_to_stop == 0) {
      print(between(0, 60) == 0 ? 120 : between(1, 4));
      if ((has('f') || has('e')) && between(0, 12) == 0) fork_child();
      if (now_ms() >= ends_at) end_by_itself(one_shot);
      poll(nullptr, 0, static_cast<int>(between(80, 400)));
    }
    if (has('t')) {
      const auto until = now_ms() + between(100, 700);
      while (now_ms() < until) {
        print(1);
        sleep_ms(50);
      }
    }
    print(1);
    end(static_cast<int>(between(0, 2)));
  }

 private:
  [[nodiscard]] bool has(char trait) const { return traits_.find(trait) != std::string::npos; }
  long between(long from, long to) { return std::uniform_int_distribution<long>(from, to)(random_); }
  [[nodiscard]] bool calm() const { return access((dir_ + "/calm").c_str(), F_OK) == 0; }

  void lock() {
    // Not close-on-exec and never closed: whoever descends from this process holds it too.
    const int fd = open((dir_ + "/lock/" + id_).c_str(), O_RDWR | O_CREAT, 0644);
    if (fd < 0) give_up("lock");
    if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
      char holder[64] = {};
      if (pread(fd, holder, sizeof holder - 1, 0) < 0) give_up("lock");
      append(dir_ + "/violations", std::to_string(now_ms()) + " " + id_ + ": pid " + std::to_string(getpid()) +
                                       " meets a copy, or a descendant of one: pid " + holder + "\n");
      _exit(99);
    }
    const std::string me = std::to_string(getpid()) + " ";
    if (ftruncate(fd, 0) != 0 || pwrite(fd, me.data(), me.size(), 0) < 0) give_up("lock");
  }

  void begin_record() {
    began_ = now_ms();
    record_ = open((dir_ + "/runs/" + id_).c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    struct stat st {};
    if (record_ < 0 || fstat(record_, &st) != 0) give_up("runs");
    at_ = st.st_size;
    save("running");
  }

  void save(const char* status) {
    char text[80];
    const int n = snprintf(text, sizeof text, "%-10d %-15lld %-12ld %-20s\n", getpid(), began_, lines_, status);
    if (pwrite(record_, text, static_cast<size_t>(n), at_) < 0) give_up("runs");
  }

  void print(long count) {
    for (long i = 0; i < count; ++i) {
      char text[160];
      const int n = snprintf(text, sizeof text, "%s %d %lld %ld ................................................\n",
                             id_.c_str(), getpid(), began_, lines_);
      if (write(STDOUT_FILENO, text, static_cast<size_t>(n)) != n) give_up("standard output");
      ++lines_;  // written for sure; a kill before the next line leaves one more in the log than is recorded
      save("running");
    }
  }

  void fork_child() {
    const bool leaves = has('e');
    const long lives = between(200, 2000);
    if (fork() != 0) return;
    close(STDOUT_FILENO);
    close(STDERR_FILENO);
    if (leaves) setsid();
    const auto until = now_ms() + lives;
    while (now_ms() < until && told_to_stop == 0) sleep_ms(50);
    if (told_to_stop != 0) sleep_ms(lives / 4);
    _exit(0);
  }

  void end_by_itself(bool one_shot) {
    if (one_shot) end(calm() || between(0, 4) != 0 ? 0 : 7);
    if (calm()) return;
    if (between(0, 3) != 0) end(static_cast<int>(between(0, 120)));
    save("signal 6");
    signal(SIGABRT, SIG_DFL);
    raise(SIGABRT);
  }

  [[noreturn]] void end(int code) {
    save(("code " + std::to_string(code)).c_str());
    _exit(code);
  }

  std::string dir_, id_, traits_;
  std::mt19937 random_;
  int record_ = -1;
  off_t at_ = 0;
  long long began_ = 0;
  long lines_ = 0;
};

}  // namespace

int main(int argc, char** argv) {
  if (argc != 4) {
    fprintf(stderr, "usage: storm_node DIR ID TRAITS\n");
    return 64;
  }
  struct sigaction action {};
  action.sa_handler = on_term;
  sigaction(SIGTERM, &action, nullptr);
  signal(SIGCHLD, SIG_IGN);  // children are not waited for
  node(argv[1], argv[2], argv[3]).work();
}
