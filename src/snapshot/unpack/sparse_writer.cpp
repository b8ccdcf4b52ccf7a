#include "snapshot/unpack/sparse_writer.hpp"

#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "snapshot/disk.hpp"

namespace hasup::snapshot {
namespace {

constexpr std::uint64_t check_step = 32U << 20;
constexpr std::uint64_t announced_slack = 64U << 20;

// What is larger than any file can be here is damaged or hostile, not a matter of room; unless a limit says so.
failure refused(const char* what, int code) {
  rlimit most{};
  const bool limited = ::getrlimit(RLIMIT_FSIZE, &most) != 0 || most.rlim_cur != RLIM_INFINITY;
  if (limited || (code != EFBIG && code != EINVAL)) return system_failure(what, code);
  return {ports::worker_failure::bad_snapshot, "is larger than a file can be here"};
}

bool all_zero(const char* data, std::size_t size) {
  return data[0] == 0 && std::memcmp(data, data + 1, size - 1) == 0;
}

}  // namespace

outcome<void> space_guard::check() const {
  auto free = free_space(fd_);
  if (!free) return free.error();
  const auto kept = min_free_ + (spoken_for_ ? spoken_for_() : 0);
  if (*free > kept) return {};
  return failure{ports::worker_failure::no_space, place_ + " has " + base::format_byte_size(*free) +
                                                      " free after unpacking " + base::format_byte_size(logical_) +
                                                      ", but " + base::format_byte_size(kept) +
                                                      " must stay free; make room, or lower data.min_free"};
}

outcome<void> space_guard::before_writing(std::uint64_t bytes) {
  of_this_ += bytes;
  // File systems and tools count blocks in their own ways.
  if (announced_ && of_this_ > *announced_ + *announced_ / 4 + announced_slack)
    return failure{ports::worker_failure::bad_snapshot,
                   "makes it grow beyond the " + base::format_byte_size(*announced_) + " that were announced"};
  since_check_ += bytes;
  if (since_check_ < check_step) return {};
  since_check_ = 0;
  return check();
}

sparse_writer::sparse_writer(int fd, space_guard& guard, std::vector<char>& buffer)
    : fd_(fd), guard_(guard), buffer_(buffer) {
  buffer_.resize(hole_size);
}

outcome<void> sparse_writer::write(const char* data, std::size_t size, std::uint64_t offset) {
  if (offset < start_ + filled_) return failure{ports::worker_failure::bad_snapshot, "its data runs backwards"};
  if (offset > start_ + filled_) {
    if (auto flushed = flush(); !flushed) return flushed;
    start_ = offset;
  }
  while (size > 0) {
    // The blocks looked at for zeros are aligned in the file; whole ones are not copied.
    const auto room = hole_size - static_cast<std::size_t>((start_ + filled_) % hole_size);
    if (room == hole_size && filled_ == 0 && size >= hole_size) {
      const auto n = size - size % hole_size;
      if (auto done = put(data, n); !done) return done;
      data += n;
      size -= n;
      continue;
    }
    const auto n = std::min(room, size);
    std::memcpy(buffer_.data() + filled_, data, n);
    filled_ += n;
    data += n;
    size -= n;
    if (n == room)
      if (auto flushed = flush(); !flushed) return flushed;
  }
  return {};
}

outcome<void> sparse_writer::flush() {
  const auto n = filled_;
  filled_ = 0;
  return put(buffer_.data(), n);
}

// Goes on at start_.
outcome<void> sparse_writer::put(const char* data, std::size_t size) {
  std::size_t at = 0;
  while (at < size) {
    // One run of blocks that are not zero, written at once.
    std::size_t end = at;
    while (end < size) {
      const auto step = std::min(hole_size - static_cast<std::size_t>((start_ + end) % hole_size), size - end);
      if (step == hole_size && all_zero(data + end, step)) break;
      end += step;
    }
    if (end == at) {
      at += hole_size;
      continue;
    }
    if (auto enough = guard_.before_writing(end - at); !enough) return enough;
    while (at < end) {
      const auto n = ::pwrite(fd_, data + at, end - at, static_cast<off_t>(start_ + at));
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) return refused("write to the staging directory", errno);
      at += static_cast<std::size_t>(n);
    }
    written_ = start_ + end;
  }
  guard_.add_logical(size);
  start_ += size;
  return {};
}

outcome<void> sparse_writer::finish(std::uint64_t size) {
  if (auto flushed = flush(); !flushed) return flushed;
  const auto whole = std::max(size, start_);
  if (whole != written_ && ::ftruncate(fd_, static_cast<off_t>(whole)) != 0)
    return refused("set the size in the staging directory", errno);
  return {};
}

}  // namespace hasup::snapshot
