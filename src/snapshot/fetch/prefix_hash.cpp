#include "snapshot/fetch/prefix_hash.hpp"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <vector>

namespace hasup::snapshot {
namespace {

constexpr std::size_t chunk = 1U << 20;

}  // namespace

prefix_hash::prefix_hash(int fd, const std::set<digest_kind>& kinds) : fd_(fd) {
  for (const auto kind : kinds) hashes_.emplace(kind, digester(kind));
  thread_ = std::thread([this] { follow(); });
}

prefix_hash::~prefix_hash() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  moved_.notify_all();
  thread_.join();
}

bool prefix_hash::has_work() const {
  // A wake-up for each network packet would cost more than the hashing.
  return last_ ? hashed_ < reached_ : hashed_ + chunk <= reached_;
}

void prefix_hash::reach(std::uint64_t end) {
  {
    const std::lock_guard lock(mutex_);
    if (end <= reached_) return;
    const bool awake = has_work();
    reached_ = end;
    if (awake || !has_work()) return;
  }
  moved_.notify_all();
}

std::uint64_t prefix_hash::hashed() const {
  const std::lock_guard lock(mutex_);
  return hashed_;
}

void prefix_hash::follow() {
  std::vector<char> buffer(chunk);
  std::unique_lock lock(mutex_);
  while (true) {
    moved_.wait(lock, [&] { return stop_ || has_work(); });
    if (stop_) return;
    const auto at = hashed_;
    const auto size = static_cast<std::size_t>(std::min<std::uint64_t>(chunk, reached_ - at));
    lock.unlock();
    const auto n = ::pread(fd_, buffer.data(), size, static_cast<off_t>(at));
    const int code = n < 0 ? errno : 0;
    for (auto& [kind, hash] : hashes_)
      if (n > 0) hash.add(buffer.data(), static_cast<std::size_t>(n));
    lock.lock();
    if (n > 0) hashed_ += static_cast<std::uint64_t>(n);
    if (code == EINTR) continue;
    error_ = code;
    ended_ = n == 0;
    moved_.notify_all();
    if (n <= 0) return;
  }
}

outcome<digests> prefix_hash::take(std::uint64_t size, job_control& control) {
  std::unique_lock lock(mutex_);
  reached_ = std::max(reached_, size);
  last_ = true;
  moved_.notify_all();
  while (hashed_ < size && error_ == 0 && !ended_) {
    if (control.cancelled()) return cancelled();
    moved_.wait_for(lock, std::chrono::milliseconds(50));
  }
  if (error_ != 0) return system_failure("read from the cache", error_);
  if (hashed_ != size)
    return failure{ports::worker_failure::internal, "a file in the cache was cut off while it was read"};
  digests out;
  for (auto& [kind, hash] : hashes_) out[kind] = hash.take();
  return out;
}

}  // namespace hasup::snapshot
