// posix_spawn and waitpid; the demonstration has one thread and few children, so polling for an end is enough.
#include "demo/child_program.hpp"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <thread>

extern char** environ;

namespace hasup::demo {
namespace {

using clock = std::chrono::steady_clock;
constexpr std::chrono::milliseconds poll_step{5};

std::vector<std::string> merged_environment(const std::map<std::string, std::string>& added) {
  std::vector<std::string> all;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string text = *entry;
    if (!added.contains(text.substr(0, text.find('=')))) all.push_back(text);
  }
  for (const auto& [name, value] : added) all.push_back(name + "=" + value);
  return all;
}

std::vector<char*> pointers(std::vector<std::string>& texts) {
  std::vector<char*> all;
  for (auto& text : texts) all.push_back(text.data());
  all.push_back(nullptr);
  return all;
}

std::vector<pid_t> pids_with(const std::string& text) {
  std::vector<pid_t> found;
  std::error_code failed;
  for (const auto& entry : std::filesystem::directory_iterator("/proc", failed)) {
    const std::string name = entry.path().filename().string();
    pid_t pid = 0;
    const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), pid);
    if (error != std::errc{} || end != name.data() + name.size() || pid == ::getpid()) continue;
    std::ifstream in(entry.path() / "cmdline", std::ios::binary);
    std::ostringstream command_line;
    command_line << in.rdbuf();
    if (command_line.str().find(text) != std::string::npos) found.push_back(pid);
  }
  return found;
}

}  // namespace

base::result<std::string> program_directory() {
  std::error_code failed;
  const auto self = std::filesystem::read_symlink("/proc/self/exe", failed);
  if (failed) return base::error{"readlink /proc/self/exe: " + failed.message(), failed.value()};
  return base::result<std::string>(boost::system::in_place_value, self.parent_path().string());
}

child_program::~child_program() {
  if (pid_ > 0) end(base::duration{5000});
}

base::result<child_program> child_program::start(const std::vector<std::string>& argv,
                                                 const std::map<std::string, std::string>& env,
                                                 const std::string& log_path) {
  std::vector<std::string> words = argv;
  std::vector<std::string> environment = merged_environment(env);
  posix_spawn_file_actions_t files;
  posix_spawn_file_actions_init(&files);
  posix_spawn_file_actions_addopen(&files, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  if (!log_path.empty()) {
    posix_spawn_file_actions_addopen(&files, STDOUT_FILENO, log_path.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0644);
    posix_spawn_file_actions_adddup2(&files, STDOUT_FILENO, STDERR_FILENO);
  }
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSID);
  child_program child;
  const int failed = ::posix_spawn(&child.pid_, words.front().c_str(), &files, &attributes, pointers(words).data(),
                                   pointers(environment).data());
  posix_spawnattr_destroy(&attributes);
  posix_spawn_file_actions_destroy(&files);
  if (failed != 0) {
    child.pid_ = 0;
    return base::errno_error("start " + words.front(), failed);
  }
  return child;
}

bool child_program::running() {
  if (pid_ <= 0) return false;
  int status = 0;
  if (::waitpid(pid_, &status, WNOHANG) == 0) return true;
  pid_ = 0;
  return false;
}

base::result<int> child_program::wait(base::duration at_most) {
  const auto deadline = clock::now() + at_most;
  while (true) {
    int status = 0;
    const pid_t ended = ::waitpid(pid_, &status, WNOHANG);
    if (ended < 0 && errno != EINTR) return base::errno_error("waitpid");
    if (ended > 0) {
      pid_ = 0;
      if (WIFEXITED(status)) return WEXITSTATUS(status);
      return base::error{"killed by signal " + std::to_string(WTERMSIG(status))};
    }
    if (clock::now() >= deadline) return base::error{"still running"};
    std::this_thread::sleep_for(poll_step);
  }
}

void child_program::end(base::duration patience) {
  if (pid_ <= 0) return;
  ::kill(pid_, SIGTERM);
  if (wait(patience) || pid_ <= 0) return;
  ::kill(pid_, SIGKILL);
  int status = 0;
  ::waitpid(pid_, &status, 0);
  pid_ = 0;
}

void end_all_with(const std::string& text) {
  for (const int signal : {SIGTERM, SIGKILL}) {
    const auto deadline = clock::now() + std::chrono::seconds(3);
    auto left = pids_with(text);
    for (const pid_t pid : left) ::kill(pid, signal);
    while (!left.empty() && clock::now() < deadline) {
      std::this_thread::sleep_for(poll_step);
      left = pids_with(text);
    }
    if (left.empty()) return;
  }
}

}  // namespace hasup::demo
