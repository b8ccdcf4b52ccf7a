#include "snapshot/create/frame_compressor.hpp"

#include <zstd.h>

#include <algorithm>
#include <cstring>
#include <utility>

namespace hasup::snapshot {
namespace {

constexpr unsigned most_cores = 16;  // 17 MiB each

struct context_closer {
  void operator()(ZSTD_CCtx* c) const { ZSTD_freeCCtx(c); }
};

}  // namespace

frame_compressor::frame_compressor(const frame_options& options, sink to)
    : options_(options), sink_(std::move(to)), most_(0) {
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

outcome<void> frame_compressor::add(const char* data, std::size_t size) {
  while (size > 0) {
    if (!filling_) {
      std::unique_lock lock(mutex_);
      room_.wait(lock, [&] { return failure_ || in_flight_ < most_; });
      if (failure_) return *failure_;
      ++in_flight_;
      if (free_.empty()) {
        lock.unlock();
        filling_ = std::make_shared<frame>();
        filling_->in = buffer(options_.frame);
      } else {
        filling_ = std::move(free_.back());
        free_.pop_back();
        filling_->done = false;
      }
      filling_->in.filled = 0;
    }
    auto& in = filling_->in;
    const auto n = std::min(size, in.capacity - in.filled);
    std::memcpy(in.data.get() + in.filled, data, n);
    in.filled += n;
    data += n;
    size -= n;
    if (in.filled == in.capacity)
      if (auto sent = send(); !sent) return sent;
  }
  return {};
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
  if (!filling_ && !any_ && options_.compress) {
    filling_ = std::make_shared<frame>();
    const std::lock_guard lock(mutex_);
    ++in_flight_;
  }
  if (filling_)
    if (auto sent = send(); !sent) return sent;
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
  const std::unique_ptr<ZSTD_CCtx, context_closer> context(ZSTD_createCCtx());
  if (context) {
    ZSTD_CCtx_setParameter(context.get(), ZSTD_c_compressionLevel, options_.level);
    ZSTD_CCtx_setParameter(context.get(), ZSTD_c_checksumFlag, 1);
  }
  while (true) {
    frame_ptr f;
    {
      std::unique_lock lock(mutex_);
      todo_there_.wait(lock, [&] { return closing_ || finished_ || !todo_.empty(); });
      if (closing_ || todo_.empty()) return;
      f = std::move(todo_.front());
      todo_.pop_front();
    }
    try {
      if (!options_.compress) {
        std::swap(f->in, f->out);
        if (f->in.capacity == 0) f->in = buffer(options_.frame);
      } else {
        if (f->out.capacity == 0) f->out = buffer(ZSTD_compressBound(options_.frame));
        const auto n = context ? ZSTD_compress2(context.get(), f->out.data.get(), f->out.capacity, f->in.data.get(),
                                                f->in.filled)
                               : static_cast<std::size_t>(-64);  // memory_allocation
        if (ZSTD_isError(n) != 0U) {
          fail({ports::worker_failure::internal, std::string("compress: ") + ZSTD_getErrorName(n)});
          return;
        }
        f->out.filled = n;
      }
    } catch (const std::exception& e) {
      fail({ports::worker_failure::internal, e.what()});
      return;
    }
    const std::lock_guard lock(mutex_);
    f->done = true;
    ready_.notify_one();
  }
}

// ---- the thread that hands on

void frame_compressor::drain() {
  while (true) {
    frame_ptr f;
    {
      std::unique_lock lock(mutex_);
      ready_.wait(lock, [&] { return closing_ || (order_.empty() ? finished_ : order_.front()->done); });
      if (closing_ || order_.empty()) return;
      f = std::move(order_.front());
      order_.pop_front();
    }
    outcome<void> taken;
    try {
      taken = sink_({f->out.data.get(), f->out.filled});
    } catch (const std::exception& e) {
      taken = failure{ports::worker_failure::internal, e.what()};
    }
    if (!taken) {
      fail(taken.error());
      return;
    }
    const std::lock_guard lock(mutex_);
    --in_flight_;
    free_.push_back(std::move(f));
    room_.notify_all();
  }
}

}  // namespace hasup::snapshot
