// What the benchmarks run: the process that is supervised, the bare loop that supervises nothing else, and a
// stopwatch.
//
//   bench_node crash BOARD SLOT FIFO        waits for a byte from FIFO, notes the time and dies of SIGKILL
//   bench_node sleep BOARD SLOT CODE        waits for SIGTERM and exits with CODE
//   bench_node log BOARD SLOT FIFO MS LINE BLOCK   after a byte: lines of LINE bytes to stdout for MS, BLOCK lines a
//   write bench_node respawn COMMAND…             posix_spawn and waitpid for ever bench_node time TIMES COMMAND… how
//   long each run of the command took, in ns, one a line
//
// BOARD is a file that all map: one counter page, then a slot of 64 bytes for each process. What is measured is
// written there by the process itself, so that no driver's own time is in it. Called "run", it takes its arguments
// from the file bench.args in the working directory, one a line: the supervisors that want such a program need no
// shell.
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char** environ;

namespace {

struct header {
  uint64_t started;
  uint64_t ended;
};

struct slot {
  uint64_t pid;
  uint64_t first_ns;  // its first instruction
  uint64_t died_ns;   // its last but one
  uint64_t starts;
  uint64_t lines;
  uint64_t longest_ns;  // of all writes
  uint64_t begun_ns;    // of the first write
  uint64_t ended_ns;    // of the last write
};
static_assert(sizeof(slot) == 64);

constexpr size_t page = 4096;

uint64_t now_ns() {
  timespec t{};
  clock_gettime(CLOCK_MONOTONIC, &t);
  return static_cast<uint64_t>(t.tv_sec) * 1'000'000'000 + static_cast<uint64_t>(t.tv_nsec);
}

[[noreturn]] void die(const char* what) {
  fprintf(stderr, "bench_node: %s: %s\n", what, strerror(errno));
  _exit(111);
}

struct board {
  board(const char* file, const char* index) {
    const int fd = open(file, O_RDWR | O_CLOEXEC);
    struct stat st {};
    if (fd < 0 || fstat(fd, &st) != 0) die(file);
    void* const at = mmap(nullptr, static_cast<size_t>(st.st_size), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (at == MAP_FAILED) die(file);
    close(fd);
    head = static_cast<header*>(at);
    mine = reinterpret_cast<slot*>(static_cast<char*>(at) + page) + strtoul(index, nullptr, 10);
  }

  void start(uint64_t first_ns) {
    mine->pid = static_cast<uint64_t>(getpid());
    mine->first_ns = first_ns;
    __atomic_add_fetch(&mine->starts, 1, __ATOMIC_SEQ_CST);
    __atomic_add_fetch(&head->started, 1, __ATOMIC_SEQ_CST);
  }

  header* head;
  slot* mine;
};

void wait_for_byte(const char* fifo) {
  const int fd = open(fifo, O_RDWR | O_CLOEXEC);
  char byte = 0;
  if (fd < 0) die(fifo);
  while (read(fd, &byte, 1) != 1)
    if (errno != EINTR) die(fifo);
  close(fd);
}

[[noreturn]] void crash(char** argv, uint64_t first_ns) {
  board b(argv[0], argv[1]);
  b.start(first_ns);
  wait_for_byte(argv[2]);
  b.mine->died_ns = now_ns();
  kill(getpid(), SIGKILL);
  for (;;) pause();
}

[[noreturn]] void sleep_until_told(char** argv, uint64_t first_ns) {
  sigset_t told;
  sigemptyset(&told);
  sigaddset(&told, SIGTERM);
  sigaddset(&told, SIGINT);
  sigprocmask(SIG_BLOCK, &told, nullptr);
  board b(argv[0], argv[1]);
  b.start(first_ns);
  int number = 0;
  while (sigwait(&told, &number) != 0) {
  }
  b.mine->died_ns = now_ns();
  __atomic_add_fetch(&b.head->ended, 1, __ATOMIC_SEQ_CST);
  _exit(atoi(argv[2]));
}

[[noreturn]] void log_lines(char** argv, uint64_t first_ns) {
  board b(argv[0], argv[1]);
  b.start(first_ns);
  wait_for_byte(argv[2]);
  const uint64_t lasts_ns = strtoull(argv[3], nullptr, 10) * 1'000'000;
  const size_t line = strtoul(argv[4], nullptr, 10);
  const size_t block = strtoul(argv[5], nullptr, 10);
  char* const text = static_cast<char*>(malloc(line * block));
  for (size_t i = 0; i < line * block; ++i) text[i] = i % line == line - 1 ? '\n' : static_cast<char>('a' + i % 26);
  uint64_t lines = 0;
  uint64_t longest = 0;
  const uint64_t begun = now_ns();
  uint64_t before = begun;
  b.mine->begun_ns = begun;
  while (before - begun < lasts_ns) {
    for (size_t i = 0; i < block; ++i) {
      char number[24];
      snprintf(number, sizeof number, "n%011llu ", static_cast<unsigned long long>(lines++));
      memcpy(text + i * line, number, 13);
    }
    const uint64_t from = now_ns();
    for (size_t done = 0; done < line * block;) {
      const ssize_t wrote = write(STDOUT_FILENO, text + done, line * block - done);
      if (wrote < 0 && errno != EINTR) die("write");
      if (wrote > 0) done += static_cast<size_t>(wrote);
    }
    before = now_ns();
    if (before - from > longest) longest = before - from;
  }
  b.mine->lines = lines;
  b.mine->longest_ns = longest;
  b.mine->ended_ns = before;
  __atomic_add_fetch(&b.head->ended, 1, __ATOMIC_SEQ_CST);
  for (;;) pause();  // until it is stopped: not a program that exits and is restarted
}

[[noreturn]] void respawn(char** argv) {
  for (;;) {
    pid_t pid = 0;
    if (posix_spawn(&pid, argv[0], nullptr, nullptr, argv, environ) != 0) die(argv[0]);
    while (waitpid(pid, nullptr, 0) < 0 && errno == EINTR) {
    }
  }
}

[[noreturn]] void time_command(char** argv) {
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
  posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
  for (long left = atol(argv[0]); left > 0; --left) {
    pid_t pid = 0;
    int status = 0;
    const uint64_t before = now_ns();
    if (posix_spawnp(&pid, argv[1], &actions, nullptr, argv + 1, environ) != 0) die(argv[1]);
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
    const uint64_t after = now_ns();
    printf("%llu %d\n", static_cast<unsigned long long>(after - before),
           WIFEXITED(status) ? WEXITSTATUS(status) : -1);
  }
  exit(0);
}

char** arguments_of_file() {
  static char text[page];
  static char* argv[32];
  const int fd = open("bench.args", O_RDONLY | O_CLOEXEC);
  if (fd < 0 || read(fd, text, sizeof text - 1) < 0) die("bench.args");
  close(fd);
  size_t count = 0;
  for (char* at = strtok(text, "\n"); at && count < 31; at = strtok(nullptr, "\n")) argv[count++] = at;
  return argv;
}

}  // namespace

int main(int, char** argv) {
  const uint64_t first_ns = now_ns();
  const char* const slash = strrchr(argv[0], '/');
  char** const words = strcmp(slash ? slash + 1 : argv[0], "run") == 0 ? arguments_of_file() : argv + 1;
  const char* const mode = words[0] ? words[0] : "";
  if (strcmp(mode, "crash") == 0) crash(words + 1, first_ns);
  if (strcmp(mode, "sleep") == 0) sleep_until_told(words + 1, first_ns);
  if (strcmp(mode, "log") == 0) log_lines(words + 1, first_ns);
  if (strcmp(mode, "respawn") == 0) respawn(words + 1);
  if (strcmp(mode, "time") == 0) time_command(words + 1);
  fprintf(stderr, "bench_node: see the top of bench_node.cpp\n");
  return 2;
}
