#include "snapshot/unpack/block_queue.hpp"

namespace hasup::snapshot {

std::optional<buffer> block_queue::to_fill() {
  std::unique_lock lock(mutex_);
  room_.wait(lock, [&] { return closed_ || blocks_.size() + out_ < depth_; });
  if (closed_) return std::nullopt;
  ++out_;
  if (free_.empty()) {
    lock.unlock();
    return buffer(block_size_);
  }
  buffer b = std::move(free_.back());
  free_.pop_back();
  b.filled = 0;
  return b;
}

bool block_queue::push(buffer b) {
  const std::lock_guard lock(mutex_);
  --out_;
  if (closed_) return false;
  blocks_.push_back(std::move(b));
  there_.notify_one();
  return true;
}

void block_queue::finish() {
  const std::lock_guard lock(mutex_);
  finished_ = true;
  there_.notify_one();
}

void block_queue::fail(failure why) {
  const std::lock_guard lock(mutex_);
  if (!failure_) failure_ = std::move(why);
  finished_ = true;
  there_.notify_one();
}

outcome<std::optional<buffer>> block_queue::pop() {
  std::unique_lock lock(mutex_);
  there_.wait(lock, [&] { return closed_ || finished_ || !blocks_.empty(); });
  if (!blocks_.empty() && !closed_) {
    std::optional<buffer> b(std::move(blocks_.front()));
    blocks_.pop_front();
    room_.notify_one();
    return b;
  }
  if (failure_) return *failure_;
  return std::optional<buffer>{};
}

void block_queue::give_back(buffer b) {
  const std::lock_guard lock(mutex_);
  if (free_.size() < depth_) free_.push_back(std::move(b));
}

void block_queue::close() {
  const std::lock_guard lock(mutex_);
  closed_ = true;
  room_.notify_all();
  there_.notify_all();
}

}  // namespace hasup::snapshot
