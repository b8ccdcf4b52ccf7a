// What every verb gets: the parsed command line, the directories, the terminal and the way to the daemon.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "cli/invocation.hpp"
#include "cli/terminal.hpp"
#include "config/paths.hpp"
#include "control/client.hpp"
#include "hasup/exit_code.hpp"

namespace hasup::cli {

struct context {
  invocation call;
  config::directories dirs;
  terminal out;
  terminal err;
  control::client daemon;
  std::vector<std::string> typed{};  // all of it, for a program that this one becomes
};

// All of it, over interruptions; false with errno.
bool write_all(int fd, std::string_view text);

// Writes to standard output at once; a closed pipe ends the program quietly.
void print(std::string_view text);
// "hasup: …" on standard error.
void complain(const context& c, std::string_view message);
exit_code fail(const context& c, const control::client_error& e);

// SIGINT and SIGTERM end a wait instead of the program, once this was called.
void catch_interrupts();
bool interrupted();
unsigned interruptions();  // how often

}  // namespace hasup::cli
