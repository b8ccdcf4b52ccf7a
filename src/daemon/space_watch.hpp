// How much is free under each of the data directories of units with data.min_free. Asked on a thread of its own, for
// as long as any of them runs: a file system that does not answer, such as a network disk, costs the others half a
// minute once.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>

#include "base/duration.hpp"
#include "base/result.hpp"
#include "unit/space_guard.hpp"

namespace hasup::probe {
class lane;
}

namespace hasup::daemon {

class space_watch {
 public:
  // Directory -> bytes that must stay free, of all units that run; empty = nothing to watch.
  using wanted = std::function<std::map<std::string, std::uint64_t>()>;
  // What is left in it, or why nobody knows: its file system has not answered for `patience`, or two looks in a row
  // have failed. Told once, until there is an answer again.
  using told = std::function<void(const std::string& dir, const base::result<unit::room_left>& room)>;

  static constexpr base::duration patience{30'000};

  space_watch(boost::asio::io_context& loop, wanted w, told t);
  ~space_watch();

  // Something began to run there. A limit that changed counts from the next look on, within half a minute.
  void wake(const std::string& dir);

 private:
  struct asked {
    base::mono_time at;
    std::uint64_t number = 0;                 // in the order of asking
    std::shared_ptr<probe::lane> given_up{};  // told as silent; the lane that still waits for the answer
  };

  void look();
  void ask(const std::string& dir);
  void answered(const std::string& dir, const base::result<unit::room_left>& room);
  void give_up_on_silent();
  void wait(base::duration d);

  boost::asio::io_context& loop_;
  boost::asio::steady_timer timer_;
  wanted wanted_;
  told told_;
  bool armed_ = false;
  std::shared_ptr<probe::lane> lane_;
  std::uint64_t last_number_ = 0;
  std::map<std::string, asked> asked_;         // not answered yet
  std::map<std::string, std::uint64_t> free_;  // as last answered
  std::map<std::string, unsigned> failed_;     // so many looks in a row
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace hasup::daemon
