// One timer for all units with memory_restart; it does not run while there is none.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <functional>

namespace hasup::daemon {

class memory_watch {
 public:
  // sample: looks at every unit; false when no unit wants to be looked at any more.
  memory_watch(boost::asio::io_context& loop, std::function<bool()> sample)
      : timer_(loop), sample_(std::move(sample)) {}

  // Something began to run, or its limits changed.
  void wake() {
    if (armed_) return;
    armed_ = true;
    wait();
  }

 private:
  static constexpr std::chrono::seconds every{5};

  void wait() {
    timer_.expires_after(every);
    timer_.async_wait([this](const boost::system::error_code& ec) {
      if (ec) return;
      armed_ = sample_();
      if (armed_) wait();
    });
  }

  boost::asio::steady_timer timer_;
  std::function<bool()> sample_;
  bool armed_ = false;
};

}  // namespace hasup::daemon
