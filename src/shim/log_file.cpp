// Opens, fills and rotates the log file; all of it on the writer thread, which a stalled disk may hold up.
#include "shim/log_file.hpp"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "shim/proc.hpp"

namespace hasup::shim {

namespace {

constexpr uint64_t retry_after_ms = 1000;
constexpr uint64_t look_every_ms = 1000;

uint64_t count_lines(const char* text, size_t length) {
  uint64_t count = 0;
  const char* const end = text + length;
  while (const void* newline = memchr(text, '\n', static_cast<size_t>(end - text))) {
    text = static_cast<const char*>(newline) + 1;
    ++count;
  }
  return count;
}

// Up to and with the last newline in the first `length` bytes.
size_t whole_lines(const char* text, size_t length) {
  const void* const newline = length == 0 ? nullptr : memrchr(text, '\n', length);
  return newline ? static_cast<size_t>(static_cast<const char*>(newline) - text) + 1 : 0;
}

using path_text = fixed_text<max_log_path + 16>;

void numbered(path_text& out, const char* path, uint32_t number) {
  out << path;
  if (number > 0) out << "." << number;
}

}  // namespace

void log_file::set_target(const log_target& target) {
  if (strcmp(target.path, target_.path) != 0) file_.reset();
  target_ = target;
  memcpy(path_, target.path, strlen(target.path) + 1);
  target_.path = path_;
  retry_at_ms_ = 0;
}

bool log_file::reopen() {
  file_.reset(open(target_.path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY, 0640));
  struct stat info;
  if (!file_ || fstat(file_.get(), &info) != 0) return false;
  size_ = S_ISREG(info.st_mode) ? static_cast<uint64_t>(info.st_size) : 0;
  return true;
}

bool log_file::ready() {
  const uint64_t now = monotonic_ms();
  if (retry_at_ms_ != 0) {
    if (now < retry_at_ms_) return false;
    file_.reset();
  }
  if (file_ && now - looked_at_ms_ >= look_every_ms) {
    // Somebody may have deleted or moved the file away: lines must not vanish in a file without a name.
    looked_at_ms_ = now;
    struct stat held;
    struct stat named;
    if (fstat(file_.get(), &held) != 0 || lstat(target_.path, &named) != 0 || held.st_ino != named.st_ino ||
        held.st_dev != named.st_dev)
      file_.reset();
  }
  if (!file_ && !reopen()) {
    retry_at_ms_ = now + retry_after_ms;
    return false;
  }
  return true;
}

void log_file::rotate() {
  if (target_.max_files == 0) {
    if (ftruncate(file_.get(), 0) == 0) size_ = 0;
    return;
  }
  for (uint32_t number = target_.max_files; number-- > 0;) {
    path_text from;
    path_text to;
    numbered(from, target_.path, number);
    numbered(to, target_.path, number + 1);
    if (rename(from.c_str(), to.c_str()) != 0 && errno != ENOENT && number == 0) return;
  }
  if (!reopen()) file_.reset();
}

bool log_file::write_piece(const char* lines, size_t length, size_t& kept) {
  kept = 0;
  size_t done = 0;
  while (done < length) {
    const ssize_t wrote = ::write(file_.get(), lines + done, length - done);
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote <= 0) {
      kept = whole_lines(lines, done);
      if (kept < done && ftruncate(file_.get(), static_cast<off_t>(size_ + kept)) != 0) kept = done;
      size_ += kept;
      return false;
    }
    done += static_cast<size_t>(wrote);
  }
  kept = done;
  size_ += done;
  return true;
}

uint64_t log_file::write(const char* lines, size_t length) {
  if (target_.path[0] == 0) return 0;
  if (!ready()) return count_lines(lines, length);
  while (length > 0) {
    size_t now = length;
    if (target_.max_size > 0 && size_ + length > target_.max_size) {
      now = size_ < target_.max_size ? whole_lines(lines, static_cast<size_t>(target_.max_size - size_)) : 0;
      if (now == 0 && size_ > 0) {
        const uint64_t before = size_;
        rotate();
        if (!file_) {
          retry_at_ms_ = monotonic_ms() + retry_after_ms;
          return count_lines(lines, length);
        }
        // It cannot be renamed: better one long file than no log.
        now = size_ == before ? length : 0;
        if (now == 0) continue;
      }
      if (now == 0) now = static_cast<size_t>(static_cast<const char*>(memchr(lines, '\n', length)) - lines) + 1;
    }
    size_t kept = 0;
    if (!write_piece(lines, now, kept)) {
      retry_at_ms_ = monotonic_ms() + retry_after_ms;
      return count_lines(lines + kept, length - kept);
    }
    lines += now;
    length -= now;
  }
  retry_at_ms_ = 0;
  return 0;
}

}  // namespace hasup::shim
