#include "snapshot/unpack/read_ahead.hpp"

#include <unistd.h>

#include <cerrno>

namespace hasup::snapshot {

outcome<std::size_t> read_at(int fd, char* data, std::size_t size, std::uint64_t offset) {
  std::size_t done = 0;
  while (done < size) {
    const auto n = ::pread(fd, data + done, size - done, static_cast<off_t>(offset + done));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return system_failure("read from the cache", errno);
    if (n == 0) break;
    done += static_cast<std::size_t>(n);
  }
  return done;
}

outcome<std::unique_ptr<read_ahead>> read_ahead::start(int fd) {
  std::unique_ptr<read_ahead> out(new read_ahead(fd));
  auto thread = helper_thread::start("read", [self = out.get()] { self->run(); });
  if (!thread) return failure{ports::worker_failure::internal, thread.error().message};
  out->thread_ = std::move(*thread);
  return out;
}

read_ahead::~read_ahead() {
  queue_.close();
}

void read_ahead::run() try {
  std::uint64_t offset = 0;
  while (auto block = queue_.to_fill()) {
    auto n = read_at(fd_, block->data.get(), block->capacity, offset);
    if (!n) return queue_.fail(n.error());
    if (*n == 0) return queue_.finish();
    block->filled = *n;
    offset += *n;
    read_ = offset;
    if (!queue_.push(std::move(*block))) return;
  }
} catch (const std::exception& e) {
  queue_.fail({ports::worker_failure::internal, e.what()});
}

outcome<std::string_view> read_ahead::next() {
  if (held_) queue_.give_back(std::move(*held_));
  held_.reset();
  auto block = queue_.pop();
  if (!block) return block.error();
  held_ = std::move(*block);
  return held_ ? std::string_view(held_->data.get(), held_->filled) : std::string_view();
}

}  // namespace hasup::snapshot
