// Lines out of bytes, and the decision between a short pause and dropping.
#include "shim/output_reader.hpp"

#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "shim/proc.hpp"

namespace hasup::shim {

namespace {

constexpr size_t chunk = 64 << 10;
constexpr size_t kept_when_calm = 4 << 10;
constexpr size_t let_go_after = 16 << 10;
// What one chunk can need in the queue: itself, a pending line, the heads of the entries, and as much again because
// an entry that does not fit at the end of the queue's memory leaves that end unused.
constexpr size_t needed_room = 2 * (chunk + 2 * max_line + 1024);
constexpr unsigned pause_step_ms = 250;
constexpr uint64_t longest_pause_ms = 1000;
constexpr uint64_t pauses_apart = 4;

}  // namespace

output_reader::output_reader(evidence_ring& evidence, line_queue& queue)
    : evidence_(evidence), queue_(queue), scratch_(static_cast<char*>(map_lazily(chunk))) {
  for (stream_state& s : streams_) s.pending = static_cast<char*>(map_lazily(max_line));
}

void output_reader::begin(base::unique_fd out, base::unique_fd err) {
  base::unique_fd* const fds[] = {&out, &err};
  for (size_t i = 0; i < 2; ++i) {
    stream_state& s = streams_[i];
    s.fd = static_cast<base::unique_fd&&>(*fds[i]);
    s.pending_length = 0;
    s.parted = s.skipping = false;
  }
}

void output_reader::attach(output stream, base::unique_fd fd) {
  if (fd) at(stream).fd = static_cast<base::unique_fd&&>(fd);
}

bool output_reader::may_read() {
  if (dropping_) {
    if (queue_.room() < line_queue::capacity / 2) return true;
    dropping_ = false;
  }
  if (pause_ends_ms_ != 0) return false;
  if (queue_.room() >= needed_room) return true;
  const uint64_t now = monotonic_ms();
  if (now < no_pause_before_ms_) {
    dropping_ = true;
    return true;
  }
  if (queue_.ask_for_room()) return true;
  pause_began_ms_ = now;
  pause_ends_ms_ = now + pause_step_ms;
  taken_before_ = queue_.taken();
  return false;
}

void output_reader::on_room() {
  queue_.clear_room_event();
  pause_ends_ms_ = 0;
  mark_gap();
}

void output_reader::on_deadline(uint64_t now_ms) {
  if (pause_ends_ms_ == 0 || now_ms < pause_ends_ms_) return;
  const uint64_t taken = queue_.taken();
  const uint64_t paused = now_ms - pause_began_ms_;
  if (taken != taken_before_ && paused < longest_pause_ms) {
    taken_before_ = taken;
    pause_ends_ms_ = now_ms + pause_step_ms;
    return;
  }
  pause_ends_ms_ = 0;
  dropping_ = true;
  no_pause_before_ms_ = now_ms + pauses_apart * paused;
}

int output_reader::poll_fd(output stream) {
  const int fd = at(stream).fd.get();
  return fd >= 0 && may_read() ? fd : -1;
}

void output_reader::read_some(output stream) {
  // A few chunks at a time: a node that floods its log must not keep the shim from its commands.
  size_t all = 0;
  for (int i = 0; i < 4 && at(stream).fd && may_read(); ++i) {
    const size_t got = read_chunk(stream, chunk);
    all += got;
    if (got < chunk) break;
  }
  give_memory_back(all);
}

size_t output_reader::read_chunk(output stream, size_t limit) {
  stream_state& s = at(stream);
  const ssize_t got = read(s.fd.get(), scratch_, limit);
  if (got < 0) return 0;
  if (got == 0) {
    // Every process that could write is gone or closed it.
    close_pending(stream);
    s.fd.reset();
    return 0;
  }
  read_at_ns_ = realtime_ns();
  take(stream, scratch_, static_cast<size_t>(got));
  return static_cast<size_t>(got);
}

// After each turn, not only when a burst is over: nothing tells that its last chunk was the last.
void output_reader::give_memory_back(size_t got) {
  if (got > kept_when_calm) madvise(scratch_ + kept_when_calm, chunk - kept_when_calm, MADV_DONTNEED);
  since_let_go_ += got;
  if (since_let_go_ < let_go_after) return;
  since_let_go_ = 0;
  evidence_.let_go();
}

// Nobody writes any more who could be held up: the last lines of a flood may wait for the writer, within limits.
void output_reader::wait_for_room() {
  const uint64_t until = monotonic_ms() + longest_pause_ms;
  while (!dropping_ && queue_.room() < needed_room) {
    const uint64_t before = queue_.taken();
    queue_.wait_empty(pause_step_ms);
    dropping_ = queue_.taken() == before || monotonic_ms() > until;
  }
}

void output_reader::drain() {
  for (const output stream : {output::stdout_, output::stderr_}) {
    int left = 0;
    if (at(stream).fd && ioctl(at(stream).fd.get(), FIONREAD, &left) == 0) {
      auto bytes = static_cast<size_t>(left);
      while (bytes > 0 && at(stream).fd) {
        wait_for_room();
        const size_t got = read_chunk(stream, bytes < chunk ? bytes : chunk);
        if (got == 0) break;
        bytes -= got;
      }
      give_memory_back(static_cast<size_t>(left) - bytes);
    }
    close_pending(stream);
  }
  mark_gap();
}

void output_reader::end() {
  drain();
  for (stream_state& s : streams_) s.fd.reset();
}

void output_reader::take(output stream, const char* data, size_t length) {
  stream_state& s = at(stream);
  if (s.pending_length > 0 || s.parted || s.skipping) {
    const auto* newline = static_cast<const char*>(memchr(data, '\n', length));
    if (!newline) return collect(stream, data, length);
    const auto rest = static_cast<size_t>(newline - data);
    finish_line(stream, data, rest);
    data += rest + 1;
    length -= rest + 1;
  }
  if (length == 0) return;
  const auto* last = static_cast<const char*>(memrchr(data, '\n', length));
  const size_t whole = last ? static_cast<size_t>(last - data) + 1 : 0;
  if (whole > 0) hand_on(stream, piece::lines, data, whole, nullptr, 0);
  if (whole < length) collect(stream, data + whole, length - whole);
}

void output_reader::collect(output stream, const char* data, size_t length) {
  stream_state& s = at(stream);
  while (s.pending_length + length > max_line && !s.skipping) {
    const size_t fits = max_line - s.pending_length;
    hand_on(stream, piece::part, s.pending, s.pending_length, data, fits);
    s.pending_length = 0;
    data += fits;
    length -= fits;
  }
  if (s.skipping) return evidence_.append(data, length);
  memcpy(s.pending + s.pending_length, data, length);
  s.pending_length += length;
}

void output_reader::finish_line(output stream, const char* rest, size_t length) {
  stream_state& s = at(stream);
  while (s.pending_length + length > max_line && !s.skipping) {
    const size_t fits = max_line - s.pending_length;
    hand_on(stream, piece::part, s.pending, s.pending_length, rest, fits);
    s.pending_length = 0;
    rest += fits;
    length -= fits;
  }
  if (s.skipping) {
    evidence_.append(rest, length);
    evidence_.append("\n", 1);
  } else {
    hand_on(stream, piece::full, s.pending, s.pending_length, rest, length);
  }
  s.pending_length = 0;
  s.parted = s.skipping = false;
}

void output_reader::close_pending(output stream) {
  const stream_state& s = at(stream);
  if (s.pending_length > 0 || s.parted || s.skipping) finish_line(stream, "", 0);
}

void output_reader::hand_on(output stream, piece kind, const char* first, size_t first_length, const char* second,
                            size_t second_length) {
  evidence_.append(first, first_length);
  if (second_length > 0) evidence_.append(second, second_length);
  if (kind == piece::full) evidence_.append("\n", 1);

  stream_state& s = at(stream);
  if (s.must_close) s.must_close = !queue_.push(stream, piece::full, read_at_ns_, nullptr, 0, nullptr, 0);
  mark_gap();
  const bool fits =
      !s.must_close && queue_.push(stream, kind, read_at_ns_, first, first_length, second, second_length);
  if (fits) {
    if (kind == piece::part) s.parted = true;
    return;
  }
  uint64_t lines = 1;
  if (kind == piece::lines) {
    lines = 0;
    for (size_t i = 0; i < first_length; ++i) lines += first[i] == '\n' ? 1 : 0;
  } else {
    if (s.parted) s.must_close = true;
    if (kind == piece::part) s.skipping = true;
  }
  queue_.add_dropped(lines);
  gap_ += lines;
  queue_.ask_for_room();  // or nothing would tell of it while the node is silent
}

// At the place where they are missing.
void output_reader::mark_gap() {
  if (gap_ == 0) return;
  const auto* const count = reinterpret_cast<const char*>(&gap_);
  if (queue_.push(output::stderr_, piece::gap, read_at_ns_, count, sizeof gap_, nullptr, 0)) gap_ = 0;
}

}  // namespace hasup::shim
