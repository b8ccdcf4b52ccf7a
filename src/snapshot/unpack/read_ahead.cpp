#include "snapshot/unpack/read_ahead.hpp"

namespace hasup::snapshot {

outcome<std::unique_ptr<read_ahead>> read_ahead::start(const archive_file& file) {
  std::unique_ptr<read_ahead> out(new read_ahead(file));
  auto thread = helper_thread::start("read", [self = out.get()] { self->run(); });
  if (!thread) return failure{ports::worker_failure::internal, thread.error().message};
  out->thread_ = std::move(*thread);
  return out;
}

read_ahead::~read_ahead() {
  unwanted_.request_stop();
  queue_.close();
}

void read_ahead::run() try {
  std::uint64_t offset = 0;
  while (auto block = queue_.to_fill()) {
    auto n = read_at(file_, block->data.get(), block->capacity, offset, unwanted_.get_token());
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
