#include "snapshot/create/frame_compressor.hpp"

#include <algorithm>
#include <cstring>
#include <optional>
#include <utility>

#include "snapshot/delta/frame.hpp"

namespace hasup::snapshot {
namespace {

constexpr unsigned most_cores = 16;  // 17 MiB each, 25 with the largest chunks
// Of chunks: a batch is sent once it has so many bytes, or so many frames.
constexpr std::size_t full = std::size_t{4} << 20U;
constexpr std::size_t most_frames = 64;

}  // namespace

frame_compressor::frame_compressor(const frame_options& options, sink to)
    : options_(options),
      sink_(std::move(to)),
      room_in_(options.chunks ? full + (content_chunker::most << options.doublings) : options.frame),
      most_(0),
      chunker_(options.doublings) {
  options_.cores = std::clamp(options.cores, 1U, most_cores);
  most_ = options_.cores + 2;  // one that is filled, one that is written
}

outcome<std::unique_ptr<frame_compressor>> frame_compressor::start(const frame_options& options, sink to) {
  std::unique_ptr<frame_compressor> out(new frame_compressor(options, std::move(to)));
  auto* self = out.get();
  auto writer = helper_thread::start("write", [self] { self->drain(); });
  if (!writer) return failure{ports::worker_failure::internal, writer.error().message};
  out->threads_.push_back(std::move(*writer));
  for (unsigned i = 0; i < out->options_.cores; ++i) {
    auto worker = helper_thread::start("compress", [self] { self->compress(); });
    if (!worker && i == 0) return failure{ports::worker_failure::internal, worker.error().message};
    if (!worker) break;  // fewer do it too
    out->threads_.push_back(std::move(*worker));
  }
  return out;
}

frame_compressor::~frame_compressor() {
  {
    const std::lock_guard lock(mutex_);
    closing_ = true;
  }
  todo_there_.notify_all();
  ready_.notify_all();
  for (auto& t : threads_) t.join();
}

outcome<void> frame_compressor::begin_batch() {
  std::unique_lock lock(mutex_);
  room_.wait(lock, [&] { return failure_ || in_flight_ < most_; });
  if (failure_) return *failure_;
  ++in_flight_;
  if (free_.empty()) {
    lock.unlock();
    filling_ = std::make_shared<batch>();
    filling_->in = buffer(room_in_);
  } else {
    filling_ = std::move(free_.back());
    free_.pop_back();
  }
  filling_->done = false;
  filling_->in.filled = 0;
  filling_->ends.clear();
  filling_->chunks.clear();
  return {};
}

outcome<void> frame_compressor::add(const char* data, std::size_t size) {
  while (size > 0) {
    if (!filling_)
      if (auto begun = begin_batch(); !begun) return begun;
    auto& in = filling_->in;
    content_chunker::taken next;
    if (options_.chunks) {
      next = chunker_.take(data, size);  // there is room for a whole chunk
    } else {
      next.bytes = std::min(size, in.capacity - in.filled);
      next.ends = in.filled + next.bytes == in.capacity;
    }
    std::memcpy(in.data.get() + in.filled, data, next.bytes);
    in.filled += next.bytes;
    data += next.bytes;
    size -= next.bytes;
    if (next.ends)
      if (auto ended = end_frame(); !ended) return ended;
  }
  return {};
}

outcome<void> frame_compressor::cut() {
  if (!options_.chunks || chunker_.size() == 0) return {};
  chunker_.cut();
  return end_frame();
}

outcome<void> frame_compressor::end_frame() {
  filling_->ends.push_back(filling_->in.filled);
  if (options_.chunks && filling_->in.filled < full && filling_->ends.size() < most_frames) return {};
  return send();
}

outcome<void> frame_compressor::send() {
  any_ = true;
  const std::lock_guard lock(mutex_);
  if (failure_) return *failure_;
  todo_.push_back(filling_);
  order_.push_back(std::move(filling_));
  filling_.reset();
  todo_there_.notify_one();
  return {};
}

outcome<void> frame_compressor::finish() {
  if (!filling_ && !any_ && options_.compress)
    if (auto begun = begin_batch(); !begun) return begun;
  if (filling_) {
    auto& ends = filling_->ends;
    if (ends.empty() || ends.back() < filling_->in.filled) ends.push_back(filling_->in.filled);
    if (auto sent = send(); !sent) return sent;
  }
  std::unique_lock lock(mutex_);
  finished_ = true;
  todo_there_.notify_all();
  ready_.notify_all();
  room_.wait(lock, [&] { return failure_ || in_flight_ == 0; });
  if (failure_) return *failure_;
  return {};
}

void frame_compressor::fail(failure why) {
  const std::lock_guard lock(mutex_);
  if (!failure_) failure_ = std::move(why);
  room_.notify_all();
}

// ---- the threads that compress

void frame_compressor::compress() {
  std::optional<frame_maker> maker;
  const auto frames_of = [&](batch& b) -> outcome<void> {
    if (!maker) maker.emplace(options_.level);
    if (b.out.capacity == 0) b.out = buffer(frame_bound(room_in_) + most_frames * frame_bound(0));
    b.out.filled = 0;
    std::size_t from = 0;
    for (const auto end : b.ends) {
      const std::string_view content(b.in.data.get() + from, end - from);
      auto* into = b.out.data.get() + b.out.filled;
      const auto n = maker->make(content, into, b.out.capacity - b.out.filled);
      if (!n) return n.error();
      if (options_.chunks) b.chunks.push_back(chunk_of(content, {into, *n}));
      b.out.filled += *n;
      from = end;
    }
    return {};
  };
  while (true) {
    batch_ptr b;
    {
      std::unique_lock lock(mutex_);
      todo_there_.wait(lock, [&] { return closing_ || finished_ || !todo_.empty(); });
      if (closing_ || todo_.empty()) return;
      b = std::move(todo_.front());
      todo_.pop_front();
    }
    try {
      if (options_.compress) {
        if (auto made = frames_of(*b); !made) {
          fail(made.error());
          return;
        }
      } else {
        std::swap(b->in, b->out);
        if (b->in.capacity == 0) b->in = buffer(room_in_);
      }
    } catch (const std::exception& e) {
      fail({ports::worker_failure::internal, e.what()});
      return;
    }
    const std::lock_guard lock(mutex_);
    b->done = true;
    ready_.notify_one();
  }
}

// ---- the thread that hands on

void frame_compressor::drain() {
  while (true) {
    batch_ptr b;
    {
      std::unique_lock lock(mutex_);
      ready_.wait(lock, [&] { return closing_ || (order_.empty() ? finished_ : order_.front()->done); });
      if (closing_ || order_.empty()) return;
      b = std::move(order_.front());
      order_.pop_front();
    }
    outcome<void> taken;
    try {
      taken = sink_({b->out.data.get(), b->out.filled}, b->chunks);
    } catch (const std::exception& e) {
      taken = failure{ports::worker_failure::internal, e.what()};
    }
    if (!taken) {
      fail(taken.error());
      return;
    }
    const std::lock_guard lock(mutex_);
    --in_flight_;
    free_.push_back(std::move(b));
    room_.notify_all();
  }
}

}  // namespace hasup::snapshot
