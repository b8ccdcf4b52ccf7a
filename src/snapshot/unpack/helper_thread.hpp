// A thread that ends before its owner does. Signals stay with the thread that looks for a cancellation.
#pragma once

#include <functional>
#include <thread>

#include "base/result.hpp"

namespace hasup::snapshot {

class helper_thread {
 public:
  helper_thread() = default;
  helper_thread(helper_thread&&) noexcept = default;
  helper_thread& operator=(helper_thread&& other) noexcept {
    join();
    thread_ = std::move(other.thread_);
    return *this;
  }
  ~helper_thread() { join(); }

  // `name` (at most 15 bytes) is what ps and top show. `work` throws nothing.
  static base::result<helper_thread> start(const char* name, std::function<void()> work);
  void join() {
    if (thread_.joinable()) thread_.join();
  }

 private:
  std::thread thread_;
};

// Cores that this process may use.
unsigned usable_cores();

}  // namespace hasup::snapshot
