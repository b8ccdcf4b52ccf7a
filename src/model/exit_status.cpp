#include "model/exit_status.hpp"

#include <charconv>
#include <csignal>
#include <cstring>

namespace hasup::model {

std::string to_text(const exit_status& s) {
  if (s.code) return "code " + std::to_string(*s.code);
  if (s.signal) return "signal " + std::to_string(*s.signal) + " (" + signal_name(*s.signal) + ")";
  return "status lost";
}

std::string signal_name(int number) {
  if (const char* name = ::sigabbrev_np(number)) return name;
  if (number >= SIGRTMIN && number <= SIGRTMAX)
    return number == SIGRTMIN ? "RTMIN" : "RTMIN+" + std::to_string(number - SIGRTMIN);
  return "signal " + std::to_string(number);
}

std::optional<int> parse_signal(std::string_view text) {
  int number = 0;
  const auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (ec == std::errc{} && end == text.data() + text.size())
    return number > 0 && number <= SIGRTMAX ? std::optional(number) : std::nullopt;
  if (text.starts_with("SIG")) text.remove_prefix(3);
  for (int i = 1; i <= SIGRTMAX; ++i)
    if (signal_name(i) == text) return i;
  return std::nullopt;
}

}  // namespace hasup::model
