#include "snapshot/unpack/zstd_source.hpp"

#include <zstd.h>

#include <algorithm>
#include <cstring>
#include <utility>

namespace hasup::snapshot {
namespace {

constexpr std::size_t read_step = 1U << 20;
constexpr std::size_t smallest_buffer = 5U << 18;  // 8 MiB, compressed or not, are in the same class, 10 MiB
constexpr std::size_t stream_block = 256U << 10;
constexpr std::size_t stream_depth = 8;

// Few sizes, so that most buffers are reused: a new one costs a page fault for every 4 KiB. What is not touched of
// one takes no memory.
std::size_t capacity_for(std::size_t size) {
  std::size_t capacity = smallest_buffer;
  while (capacity < size) capacity *= 2;
  return capacity;
}

failure damaged(const char* why) {
  return {ports::worker_failure::bad_snapshot, why};
}

// Not within piece: clang 14 finds no default constructor there.
struct frame_stream {
  block_queue input{stream_block, stream_depth};
  block_queue output{stream_block, stream_depth};
  std::uint64_t window = 0;
  bool ended = false;
  std::optional<std::uint64_t> end;  // where the next frame begins; nothing: damaged
};

}  // namespace

// Either whole frames, to be decompressed at once, or one frame that is streamed.
struct zstd_source::piece {
  // Whole: of `in` and `out` the owner is who works on them; `done` says that it is next().
  buffer in;
  buffer out;
  bool done = false;
  std::optional<failure> error;
  // Streamed.
  std::optional<frame_stream> streamed;
};

zstd_source::zstd_source(const archive_file& file, const zstd_limits& limits)
    : file_(file), limits_(limits), wanted_(read_step) {}

outcome<std::unique_ptr<zstd_source>> zstd_source::start(const archive_file& file, const zstd_limits& limits) {
  std::unique_ptr<zstd_source> out(new zstd_source(file, limits));
  auto* self = out.get();
  auto reader = helper_thread::start("read", [self] { self->read_all(); });
  if (!reader) return failure{ports::worker_failure::internal, reader.error().message};
  out->threads_.push_back(std::move(*reader));
  for (unsigned i = 0; i < std::clamp(limits.cores, 1U, 64U); ++i) {
    auto worker = helper_thread::start("decompress", [self] { self->work(); });
    if (!worker && i == 0) return failure{ports::worker_failure::internal, worker.error().message};
    if (!worker) break;  // fewer do it too
    out->threads_.push_back(std::move(*worker));
  }
  return out;
}

zstd_source::~zstd_source() {
  unwanted_.request_stop();
  {
    const std::lock_guard lock(mutex_);
    closing_ = true;
    for (const auto& p : order_) {
      if (!p->streamed) continue;
      p->streamed->input.close();
      p->streamed->output.close();
    }
  }
  admit_.notify_all();
  todo_there_.notify_all();
  for (auto& t : threads_) t.join();
}

buffer zstd_source::buffer_of(std::size_t size) {
  // Few sizes, so that most are reused: a new one costs a page fault for every 4 KiB. What is not touched of one is
  // no memory.
  const auto capacity = capacity_for(size);
  const auto found =
      std::find_if(free_.begin(), free_.end(), [&](const buffer& b) { return b.capacity == capacity; });
  if (found != free_.end()) {
    buffer b = std::move(*found);
    free_.erase(found);
    free_bytes_ -= b.capacity;
    in_flight_ += b.capacity;
    return b;
  }
  while (!free_.empty() && in_flight_ + free_bytes_ + capacity > limits_.memory) {
    free_bytes_ -= free_.back().capacity;
    free_.pop_back();
  }
  in_flight_ += capacity;
  return buffer(capacity);
}

void zstd_source::release(buffer b) {
  if (b.capacity == 0) return;
  in_flight_ -= b.capacity;
  if (in_flight_ + free_bytes_ + b.capacity > limits_.memory) return;
  b.filled = 0;
  free_bytes_ += b.capacity;
  free_.push_back(std::move(b));
}

// ---- the thread that reads

void zstd_source::read_all() {
  std::optional<failure> why;
  try {
    {
      const std::lock_guard lock(mutex_);
      carry_ = buffer_of(read_step);
    }
    outcome<bool> more = true;
    while (more && *more) more = send_next();
    if (!more) why = more.error();
  } catch (const std::exception& e) {
    why = failure{ports::worker_failure::internal, e.what()};
  }
  const std::lock_guard lock(mutex_);
  all_read_ = true;
  read_failure_ = std::move(why);
  todo_there_.notify_all();
  ready_.notify_all();
}

outcome<bool> zstd_source::read_up_to(std::size_t filled) {
  if (carry_.capacity < filled) {
    const std::lock_guard lock(mutex_);
    buffer larger = buffer_of(std::max(filled, std::min(carry_.capacity * 2, limits_.largest_frame)));
    std::memcpy(larger.data.get(), carry_.data.get(), carry_.filled);
    larger.filled = carry_.filled;
    release(std::exchange(carry_, std::move(larger)));
  }
  while (!at_end_ && carry_.filled < filled) {
    auto n = read_at(file_, carry_.data.get() + carry_.filled, filled - carry_.filled, offset_ + carry_.filled,
                     unwanted_.get_token());
    if (!n) return n.error();
    at_end_ = *n == 0;
    carry_.filled += *n;
    read_ = std::max(read_.load(), offset_ + carry_.filled);
  }
  return carry_.filled > 0;
}

// Decompressed. Whole frames are worth it only where one is decompressed while another one is read or written, and
// each takes its buffers compressed and decompressed; with room for one alone, a stream does more at once.
std::uint64_t zstd_source::largest_whole() const {
  return limits_.memory / 5;
}

outcome<bool> zstd_source::send_next() {
  auto something = read_up_to(wanted_);
  if (!something || !*something) return something;
  const auto run = find_frames(carry_.data.get(), carry_.filled, {limits_.window, frame_limits{}.batch});
  if (run.bytes > 0 && run.decompressed <= largest_whole() &&
      carry_.filled + run.bytes + run.decompressed <= limits_.memory) {
    wanted_ = read_step;
    return send_whole(run);
  }
  if (run.bytes > 0) return send_stream(run.widest);
  if (run.why == frame_run::stop::too_wide)
    return refusal("needs a window of " + base::format_byte_size(run.window) + " of memory, but no more than " +
                   base::format_byte_size(limits_.window) + " may be used; raise recovery.max_window");
  const bool large = at_end_ || carry_.filled >= limits_.largest_frame || run.announced > largest_whole();
  if (run.why == frame_run::stop::incomplete && !large) {
    wanted_ = carry_.filled + read_step;
    return true;
  }
  return send_stream(run.window);  // which also finds the words for what is damaged or cut off
}

// The smaller part of what was read is the one that is copied.
buffer zstd_source::take_from_carry(std::size_t bytes) {
  const auto rest = carry_.filled - bytes;
  const auto room = [this](std::size_t size) {
    const std::lock_guard lock(mutex_);
    return buffer_of(size);
  };
  buffer taken;
  if (rest > bytes) {
    taken = room(bytes);
    std::memcpy(taken.data.get(), carry_.data.get(), bytes);
    std::memmove(carry_.data.get(), carry_.data.get() + bytes, rest);
  } else {
    // The next one is alike.
    taken = std::exchange(carry_, room(std::max(rest, std::min(bytes, limits_.largest_frame) + read_step)));
    std::memcpy(carry_.data.get(), taken.data.get() + bytes, rest);
  }
  taken.filled = bytes;
  carry_.filled = rest;
  offset_ += bytes;
  return taken;
}

bool zstd_source::send_whole(const frame_run& run) {
  auto p = std::make_shared<piece>();
  p->in = take_from_carry(run.bytes);
  const auto mine = p->in.capacity + carry_.capacity;
  // The next carry_ is taken before the next wait.
  const auto wanted = carry_.capacity + capacity_for(static_cast<std::size_t>(run.decompressed));
  std::unique_lock lock(mutex_);
  admit_.wait(lock, [&] { return closing_ || in_flight_ == mine || in_flight_ + wanted <= limits_.memory; });
  if (closing_) return false;
  if (run.decompressed > 0) p->out = buffer_of(static_cast<std::size_t>(run.decompressed));
  todo_.push_back(p);
  order_.push_back(p);
  todo_there_.notify_one();
  ready_.notify_one();
  return true;
}

outcome<bool> zstd_source::send_stream(std::uint64_t window) {
  if (auto room = room_for_window(window); !room) return room.error();
  auto p = std::make_shared<piece>();
  p->streamed.emplace();
  p->streamed->window = window;
  {
    const std::lock_guard lock(mutex_);
    if (closing_) return false;
    todo_.push_back(p);
    order_.push_back(p);
    todo_there_.notify_one();
    ready_.notify_one();
  }
  feed(*p);
  std::unique_lock lock(mutex_);
  admit_.wait(lock, [&] { return closing_ || p->streamed->ended; });
  if (closing_ || !p->streamed->end) return false;
  // What was read beyond the frame is read again: it is in the page cache.
  offset_ = *p->streamed->end;
  carry_.filled = 0;
  at_end_ = false;
  wanted_ = read_step;
  return true;
}

void zstd_source::feed(piece& p) {
  auto& input = p.streamed->input;
  auto offset = offset_;
  while (auto block = input.to_fill()) {
    auto n = read_at(file_, block->data.get(), block->capacity, offset, unwanted_.get_token());
    if (!n) {
      input.fail(n.error());
      return;
    }
    if (*n == 0) {
      input.finish();
      return;
    }
    block->filled = *n;
    block->offset = offset;
    offset += *n;
    read_ = std::max(read_.load(), offset);
    if (!input.push(std::move(*block))) return;
  }
}

// ---- the threads that decompress

void zstd_source::work() {
  zstd_context context(ZSTD_createDCtx());
  while (true) {
    piece_ptr p;
    {
      std::unique_lock lock(mutex_);
      todo_there_.wait(lock, [&] { return closing_ || !todo_.empty() || all_read_; });
      if (closing_ || todo_.empty()) return;
      p = std::move(todo_.front());
      todo_.pop_front();
    }
    if (p->streamed)
      decompress_stream(*p);
    else
      decompress_whole(*p, context.get());
  }
}

void zstd_source::decompress_whole(piece& p, ZSTD_DCtx_s* context) {
  const auto n = context == nullptr
                     ? 0
                     : ZSTD_decompressDCtx(context, p.out.data.get(), p.out.capacity, p.in.data.get(), p.in.filled);
  const std::lock_guard lock(mutex_);
  if (context == nullptr)
    p.error = failure{ports::worker_failure::internal, "no memory to decompress with"};
  else if (ZSTD_isError(n) != 0U)
    p.error = damaged(ZSTD_getErrorName(n));
  else
    p.out.filled = n;
  release(std::move(p.in));
  p.done = true;
  admit_.notify_one();
  ready_.notify_one();
}

void zstd_source::decompress_stream(piece& p) {
  auto& stream = *p.streamed;
  std::optional<std::uint64_t> end;
  try {
    // A frame that is alike is no reason to begin anew.
    end = stream_frames(stream_, stream.input, stream.output, [&](std::string_view next) {
      return is_large_frame(next.data(), next.size(), stream.window, largest_whole());
    });
  } catch (const std::exception& e) {
    stream.output.fail({ports::worker_failure::internal, e.what()});
  }
  stream.input.close();
  const std::lock_guard lock(mutex_);
  stream.ended = true;
  stream.end = end;
  admit_.notify_one();
}

// ---- who reads the bytes

outcome<std::string_view> zstd_source::next() {
  while (true) {
    if (streaming_) {
      auto& output = streaming_->streamed->output;
      if (held_.capacity > 0) output.give_back(std::move(held_));
      held_ = buffer();
      auto block = output.pop();
      if (!block) return block.error();
      if (*block) {
        held_ = std::move(**block);
        return std::string_view(held_.data.get(), held_.filled);
      }
      const std::lock_guard lock(mutex_);
      order_.pop_front();
      streaming_.reset();
    }
    std::unique_lock lock(mutex_);
    release(std::move(held_));
    held_ = buffer();
    admit_.notify_one();
    ready_.wait(lock, [&] {
      return order_.empty() ? all_read_ : order_.front()->done || order_.front()->streamed.has_value();
    });
    if (order_.empty()) {
      if (read_failure_) return *read_failure_;
      return std::string_view();
    }
    if (order_.front()->streamed) {
      streaming_ = order_.front();
      continue;
    }
    const auto p = std::move(order_.front());
    order_.pop_front();
    if (p->error) return *p->error;
    held_ = std::move(p->out);
    if (held_.filled > 0) return std::string_view(held_.data.get(), held_.filled);
  }
}

}  // namespace hasup::snapshot
