// How a process ended. Unknown is `lost`, never success.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace hasup::model {

struct exit_status {
  std::optional<int> code;    // exited with this code
  std::optional<int> signal;  // or killed by this signal; both empty = lost
  bool core_dumped = false;

  [[nodiscard]] bool lost() const { return !code && !signal; }
  friend bool operator==(const exit_status&, const exit_status&) = default;
};

// "code 2", "signal 9 (KILL)", "status lost"
std::string to_text(const exit_status& s);

// "TERM" for 15, "RTMIN+3"; "signal 99" for what has no name.
std::string signal_name(int number);
// Reads "TERM", "SIGTERM" or "15".
std::optional<int> parse_signal(std::string_view text);

}  // namespace hasup::model
