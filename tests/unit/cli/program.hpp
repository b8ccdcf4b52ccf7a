// Runs the real `hasup` with a HASUP_HOME and catches what it prints.
#pragma once

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <stdexcept>
#include <string>
#include <vector>

#include "base/unique_fd.hpp"

namespace hasup::cli::testing {

struct outcome {
  int code = -1;  // 128 + signal when it was killed
  std::string out;
  std::string err;
};

class program {
 public:
  program(const std::string& home, const std::vector<std::string>& words) {
    int out[2], err[2];
    if (::pipe2(out, O_CLOEXEC) != 0 || ::pipe2(err, O_CLOEXEC) != 0) throw std::runtime_error("pipe");
    out_.reset(out[0]);
    err_.reset(err[0]);
    base::unique_fd out_end(out[1]), err_end(err[1]);
    std::vector<std::string> argv{std::string(HASUP_BIN_DIR) + "/hasup"};
    argv.insert(argv.end(), words.begin(), words.end());
    const std::vector<std::string> env{"HASUP_HOME=" + home, std::string("HASUP_SHARE=") + HASUP_SOURCE_DIR,
                                       "PATH=/usr/bin:/bin", "TERM=xterm"};
    posix_spawn_file_actions_t actions;
    ::posix_spawn_file_actions_init(&actions);
    ::posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
    ::posix_spawn_file_actions_adddup2(&actions, out[1], 1);
    ::posix_spawn_file_actions_adddup2(&actions, err[1], 2);
    const auto args = pointers(argv), variables = pointers(env);
    const int code = ::posix_spawn(&pid_, argv[0].c_str(), &actions, nullptr, args.data(), variables.data());
    ::posix_spawn_file_actions_destroy(&actions);
    if (code != 0) throw std::runtime_error("cannot start " + argv[0]);
  }
  ~program() {
    if (pid_ <= 0) return;
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }
  program(const program&) = delete;
  program& operator=(const program&) = delete;

  // Until this appears on standard output; false after a generous time, or when the output ends without it.
  bool wait_for_output(const std::string& text) {
    while (result_.out.find(text) == std::string::npos)
      if (!read_some()) return false;
    return true;
  }
  void signal(int number) const { ::kill(pid_, number); }
  outcome finish() {
    while (read_some()) {
    }
    int status = 0;
    ::waitpid(pid_, &status, 0);
    pid_ = -1;
    result_.code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    return result_;
  }

 private:
  static std::vector<char*> pointers(const std::vector<std::string>& all) {
    std::vector<char*> p;
    for (const auto& s : all) p.push_back(const_cast<char*>(s.c_str()));
    p.push_back(nullptr);
    return p;
  }
  // More of either output; false at the end of both, or after a minute of silence (then it is killed).
  bool read_some() {
    pollfd p[2]{{out_.get(), POLLIN, 0}, {err_.get(), POLLIN, 0}};
    if (!out_ && !err_) return false;
    if (::poll(p, 2, 60'000) <= 0) {
      ::kill(pid_, SIGKILL);
      return false;
    }
    read_from(out_, p[0].revents, result_.out);
    read_from(err_, p[1].revents, result_.err);
    return true;
  }
  static void read_from(base::unique_fd& fd, short events, std::string& into) {
    if (!fd || events == 0) return;
    char bytes[16 * 1024];
    const auto n = ::read(fd.get(), bytes, sizeof bytes);
    if (n > 0)
      into.append(bytes, static_cast<std::size_t>(n));
    else
      fd.reset();
  }

  pid_t pid_ = -1;
  base::unique_fd out_, err_;
  outcome result_;
};

inline program start_hasup(const std::string& home, const std::vector<std::string>& words) {
  return program(home, words);
}
inline outcome run_hasup(const std::string& home, const std::vector<std::string>& words) {
  return program(home, words).finish();
}

}  // namespace hasup::cli::testing
