// How one host has behaved during a download: how many connections it bears, when to ask again, when to give it up.
// Pure: time and chance are arguments.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "snapshot/fetch/remote_client.hpp"
#include "snapshot/fetch/version_answer.hpp"

namespace hasup::snapshot {

class origin {
 public:
  using time = std::chrono::steady_clock::time_point;
  enum class ranges { unknown, yes, no };

  // `connections`: at most so many at once.
  // `silent`: what to say of one that brings nothing at all.
  origin(patience p, unsigned connections, std::string silent = "nothing came")
      : patience_(p), connections_(connections), allowed_(connections), silent_(std::move(silent)) {
    begin();
  }

  // Its patience is whole.
  void begin();
  void brought(std::size_t bytes);
  // For bytes. Waiting uses the patience up, and each byte brings back as much of it as it takes at the lowest rate:
  // a host that is slower than that is left, however often it brings a little.
  void waited(std::chrono::steady_clock::duration how_long);
  // A transfer ended early. `others`: how many go on; a host that refuses one connection of several wants fewer.
  // `pause`: before the next attempt, given how many have failed in a row.
  void failed(time now, std::string why, bool brought_something, unsigned others,
              const std::function<std::chrono::milliseconds(unsigned)>& pause);
  // The file had to be begun from its first byte, because of `why` where it is not the first time.
  void starts_whole(const std::string& why);
  // The file here is another one than a moment ago; a host that goes on so is read in one go.
  void changed(const std::string& why);
  void give_up(std::string why);
  // Gives it up when nothing, or too little, came for too long.
  void check();

  [[nodiscard]] bool given_up() const { return given_up_; }
  [[nodiscard]] const std::string& last_error() const { return last_error_; }
  [[nodiscard]] time not_before() const { return not_before_; }
  [[nodiscard]] unsigned allowed() const { return allowed_; }

  ranges bears_ranges = ranges::unknown;
  std::string validator;  // of the file on this host; "" = not known, or there is none

 private:
  patience patience_;
  unsigned connections_;
  unsigned allowed_;
  std::string silent_;
  std::uint64_t since_fewer_ = 0;  // bytes
  unsigned fruitless_ = 0;         // failures in a row without a byte in between
  unsigned whole_starts_ = 0;
  unsigned changes_ = 0;
  std::uint64_t since_failure_ = 0;  // bytes
  std::chrono::steady_clock::duration patience_left_{};
  std::chrono::steady_clock::duration silent_for_{};
  time not_before_{};
  std::string last_error_;
  bool given_up_ = false;
};

}  // namespace hasup::snapshot
