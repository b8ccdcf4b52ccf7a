// Output and signals of the command line.
#include "cli/context.hpp"

#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdlib>

namespace hasup::cli {
namespace {

volatile std::sig_atomic_t interrupts = 0;

}  // namespace

bool write_all(int fd, std::string_view text) {
  while (!text.empty()) {
    const auto n = ::write(fd, text.data(), text.size());
    if (n > 0)
      text.remove_prefix(static_cast<std::size_t>(n));
    else if (errno != EINTR)
      return false;
  }
  return true;
}

void print(std::string_view text) {
  // Whoever closed the pipe (head, less) has seen enough.
  if (!write_all(STDOUT_FILENO, text)) std::_Exit(errno == EPIPE ? 0 : static_cast<int>(exit_code::failed));
}

void complain(const context& c, std::string_view message) {
  std::string text = paint("hasup:", style::red, c.err.colour) + " ";
  text += message;
  text += "\n";
  write_all(STDERR_FILENO, text);
}

exit_code fail(const context& c, const control::client_error& e) {
  complain(c, e.message);
  return e.code;
}

void catch_interrupts() {
  struct sigaction a {};
  a.sa_handler = [](int) { interrupts = interrupts + 1; };
  ::sigemptyset(&a.sa_mask);
  ::sigaction(SIGINT, &a, nullptr);
  ::sigaction(SIGTERM, &a, nullptr);
  // The terminal is gone; under nohup nobody minds.
  struct sigaction was {};
  if (::sigaction(SIGHUP, nullptr, &was) == 0 && was.sa_handler != SIG_IGN) ::sigaction(SIGHUP, &a, nullptr);
}

bool interrupted() {
  return interrupts > 0;
}

unsigned interruptions() {
  return static_cast<unsigned>(interrupts);
}

}  // namespace hasup::cli
