// A program that the demonstration starts beside itself, and its certain end.
#pragma once

#include <sys/types.h>

#include <map>
#include <string>
#include <vector>

#include "base/duration.hpp"
#include "base/result.hpp"

namespace hasup::demo {

// The directory of the running program: where its siblings are.
base::result<std::string> program_directory();

class child_program {
 public:
  child_program() = default;
  child_program(child_program&& other) noexcept : pid_(std::exchange(other.pid_, 0)) {}
  child_program& operator=(child_program&& other) noexcept {
    std::swap(pid_, other.pid_);
    return *this;
  }
  ~child_program();  // ends it

  // In a session of its own, so that Ctrl-C reaches this program alone; output to log_path ("" = where ours goes).
  // `env` is added to our environment.
  static base::result<child_program> start(const std::vector<std::string>& argv,
                                           const std::map<std::string, std::string>& env,
                                           const std::string& log_path);

  [[nodiscard]] pid_t pid() const { return pid_; }
  [[nodiscard]] bool running();
  // Waits for its end by itself; the exit code, or an error when it was killed or is still there at the deadline.
  base::result<int> wait(base::duration at_most);
  // SIGTERM, then SIGKILL when that does not help.
  void end(base::duration patience);
  // Lets it run on after our own end.
  void release() { pid_ = 0; }

 private:
  pid_t pid_ = 0;
};

// Ends every process that was started with this text in its command line: what a crashed hasupd left behind. Never
// this process itself.
void end_all_with(const std::string& text_in_command_line);

}  // namespace hasup::demo
