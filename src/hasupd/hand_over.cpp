#include "hasupd/hand_over.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>

#include "control/server.hpp"
#include "hasup/version.hpp"

#ifndef CLOSE_RANGE_CLOEXEC
#define CLOSE_RANGE_CLOEXEC (1U << 2)
#endif

namespace hasup::hasupd {
namespace {

constexpr const char* variable = "HASUPD_TAKES_OVER";  // "LOCK LISTENING VERSION"

void keep_over_exec(int fd, bool keep) {
  ::fcntl(fd, F_SETFD, keep ? 0 : FD_CLOEXEC);
}

bool same_file(int fd, const std::string& path) {
  struct stat open_one {};
  struct stat named {};
  return ::fstat(fd, &open_one) == 0 && ::stat(path.c_str(), &named) == 0 && open_one.st_dev == named.st_dev &&
         open_one.st_ino == named.st_ino;
}

bool listens_on_a_unix_socket(int fd) {
  int listening = 0;
  int domain = 0;
  socklen_t size = sizeof listening;
  if (::getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &size) != 0 || listening != 1) return false;
  size = sizeof domain;
  return ::getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &size) == 0 && domain == AF_UNIX;
}

bool is_socket_file(const std::string& path) {
  struct stat st {};
  return ::lstat(path.c_str(), &st) == 0 && S_ISSOCK(st.st_mode);
}

}  // namespace

std::string own_program() {
  std::error_code ec;
  auto path = std::filesystem::read_symlink("/proc/self/exe", ec).string();
  constexpr std::string_view gone = " (deleted)";  // a package upgrade has put another file in its place
  if (path.ends_with(gone)) path.resize(path.size() - gone.size());
  return path;
}

inheritance take_inheritance(const config::directories& dirs) {
  inheritance out;
  const char* const text = std::getenv(variable);
  if (text == nullptr) return out;
  int lock = -1;
  int listening = -1;
  char version[64] = {};
  const int read = std::sscanf(text, "%d %d %63s", &lock, &listening, version);
  ::unsetenv(variable);
  if (read != 3 || lock < 3 || listening < 3 || lock == listening) return out;
  out.lock.reset(lock);
  out.listening.reset(listening);
  keep_over_exec(lock, false);
  keep_over_exec(listening, false);
  out.version = version;
  if (!same_file(lock, dirs.run + "/hasupd.lock")) out.lock.reset();
  if (!listens_on_a_unix_socket(listening) || !is_socket_file(dirs.run + "/" + std::string(control::socket_name)))
    out.listening.reset();
  return out;
}

std::string replace_program(const std::string& program, int lock, int listening) {
  // Until the successor has handlers of its own: it reads the files anyway, so a request to do so may get lost.
  std::signal(SIGHUP, SIG_IGN);
  ::syscall(SYS_close_range, 3U, ~0U, CLOSE_RANGE_CLOEXEC);
  keep_over_exec(lock, true);
  keep_over_exec(listening, true);
  ::setenv(variable, fmt::format("{} {} {}", lock, listening, hasup::version).c_str(), 1);
  std::string name = program;
  char* const argv[] = {name.data(), nullptr};
  ::execv(program.c_str(), argv);
  const int error = errno;
  ::unsetenv(variable);
  keep_over_exec(lock, false);
  keep_over_exec(listening, false);
  return "cannot run " + program + ": " + std::strerror(error);
}

std::string monotonic_microseconds() {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return std::to_string(static_cast<long long>(now.tv_sec) * 1'000'000 + now.tv_nsec / 1000);
}

}  // namespace hasup::hasupd
