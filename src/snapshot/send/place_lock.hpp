// The lock of a place on an SFTP host: a directory LOCK, which one alone can make, with a directory in it that is
// called as its holder's token. What a waiter makes of what he sees of it. Pure.
#pragma once

#include <algorithm>
#include <chrono>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace hasup::snapshot {

// What is in LOCK, in order; empty while its holder has not put his token there, or when he died before.
using lock_holders = std::vector<std::string>;

// Of the lines of `ls -l`, of names without blanks.
inline lock_holders holders_in(std::string_view lines) {
  lock_holders out;
  while (!lines.empty()) {
    const auto end = std::min(lines.find('\n'), lines.size());
    auto line = lines.substr(0, end);
    lines.remove_prefix(std::min(end + 1, lines.size()));
    while (!line.empty() && (line.back() == '\r' || line.back() == ' ')) line.remove_suffix(1);
    line.remove_prefix(line.rfind(' ') + 1);
    if (!line.empty() && line != "." && line != "..") out.emplace_back(line);
  }
  std::sort(out.begin(), out.end());
  return out;
}

inline constexpr std::size_t lock_token_size = 16;  // hexadecimal digits
inline bool is_lock_token(std::string_view name) {
  return name.size() == lock_token_size && name.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

// A living holder lets go within moments, so it is taken for dead when it alone was seen for a whole patience. The
// clock is the waiter's own.
class lock_watch {
 public:
  using time = std::chrono::steady_clock::time_point;
  static constexpr std::chrono::milliseconds shortest{30'000};  // however impatient the waiter is
  static constexpr int most_patiences = 10;
  static constexpr unsigned most_breaks = 3;

  lock_watch(time now, std::chrono::milliseconds patience)
      : borne_(std::max(patience, shortest)), until_(now + most_patiences * borne_) {}

  enum class verdict {
    wait,
    break_it,  // it is a dead one's
    stuck,     // and cannot be removed
    late,      // it was never free for this waiter
  };
  [[nodiscard]] verdict seen(const lock_holders& by, time now) {
    if (!watched_ || by != by_) {
      watched_ = true;
      by_ = by;
      since_ = now;
      breaks_ = 0;
    }
    if (now - since_ >= borne_) return breaks_++ < most_breaks ? verdict::break_it : verdict::stuck;
    return now >= until_ ? verdict::late : verdict::wait;
  }
  // It was not there. Late: whether to wait on is of no use.
  [[nodiscard]] verdict gone(time now) {
    watched_ = false;
    return now >= until_ ? verdict::late : verdict::wait;
  }

 private:
  std::chrono::milliseconds borne_;
  time until_;
  bool watched_ = false;
  lock_holders by_;
  time since_{};
  unsigned breaks_ = 0;
};

}  // namespace hasup::snapshot
