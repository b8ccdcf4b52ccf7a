#include "hasupd/log_queue.hpp"

#include <csignal>
#include <utility>

namespace hasup::hasupd {

log_queue::log_queue(std::shared_ptr<spdlog::sinks::sink> to, std::size_t most) : to_(std::move(to)), most_(most) {
  // Signals belong to the loop: the thread starts with all of them blocked.
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  thread_ = std::thread([this] { write_all(); });
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

log_queue::~log_queue() {
  {
    const std::lock_guard lock(mutex_);
    over_ = true;
  }
  wake_.notify_one();
  thread_.join();
}

void log_queue::log(const spdlog::details::log_msg& message) {
  {
    const std::lock_guard lock(mutex_);
    if (waiting_.size() >= most_) waiting_.pop_front();
    waiting_.emplace_back(message);
  }
  wake_.notify_one();
}

void log_queue::write_all() {
  std::unique_lock lock(mutex_);
  for (;;) {
    wake_.wait(lock, [this] { return over_ || !waiting_.empty(); });
    if (waiting_.empty()) return;
    const auto message = std::move(waiting_.front());
    waiting_.pop_front();
    lock.unlock();
    to_->log(message);
    lock.lock();
  }
}

}  // namespace hasup::hasupd
