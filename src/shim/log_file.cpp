// Opens, fills and rotates the log file; all of it on the writer thread, which a stalled disk may hold up.
#include "shim/log_file.hpp"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "shim/proc.hpp"

namespace hasup::shim {

namespace {

constexpr uint64_t retry_after_ms = 1000;
constexpr uint64_t look_every_ms = 1000;
constexpr uint64_t longest_line = max_line + 4096;  // with its stamp

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

void numbered(path_text& out, const char* path, uint32_t number, const char* suffix = "") {
  out << path;
  if (number > 0) out << "." << number << suffix;
}

// Held while files are renamed: the worker that compresses them takes it alone. Never waited for. A file system
// without locks has no such worker either.
class rotation_lock {
 public:
  explicit rotation_lock(const char* path) {
    fixed_text<max_log_path> directory;
    directory.put(path, static_cast<size_t>(strrchr(path, '/') + 1 - path));
    directory_.reset(open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    refused_ = directory_ && flock(directory_.get(), LOCK_SH | LOCK_NB) != 0 && errno == EWOULDBLOCK;
  }
  [[nodiscard]] bool refused() const { return refused_; }

 private:
  base::unique_fd directory_;
  bool refused_ = false;
};

}  // namespace

void log_file::set_target(const log_target& target) {
  if (strcmp(target.path, target_.path) != 0) file_.reset();
  target_ = target;
  memcpy(path_, target.path, strlen(target.path) + 1);
  target_.path = path_;
  retry_at_ms_ = 0;
}

bool log_file::reopen() {
  const int access = target_.daily != 0 ? O_RDWR : O_WRONLY;
  file_.reset(open(target_.path, access | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY, 0640));
  struct stat info;
  if (!file_ || fstat(file_.get(), &info) != 0) return false;
  size_ = S_ISREG(info.st_mode) ? static_cast<uint64_t>(info.st_size) : 0;
  mend_end();
  // A file that does not begin with a date is as good as one of another day.
  if (target_.daily != 0 && size_ > 0 && pread(file_.get(), day_, sizeof day_, 0) < 0) day_[0] = 0;
  return true;
}

// What comes next must not be glued to the piece of a line that a killed shim, or a machine that went down, left.
void log_file::mend_end() {
  constexpr size_t step = 4096;
  char text[step];
  const base::unique_fd fd(size_ > 0 ? open(target_.path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY) : -1);
  if (!fd || pread(fd.get(), text, 1, static_cast<off_t>(size_ - 1)) != 1 || text[0] == '\n') return;
  uint64_t begin = size_;
  size_t whole = 0;
  while (begin > 0 && whole == 0 && size_ - begin <= longest_line) {
    const size_t length = begin < step ? static_cast<size_t>(begin) : step;
    begin -= length;
    if (pread(fd.get(), text, length, static_cast<off_t>(begin)) != static_cast<ssize_t>(length)) return;
    whole = whole_lines(text, length);
  }
  begin += whole;
  const bool ours = pread(fd.get(), text, 1, static_cast<off_t>(begin)) == 1 && text[0] >= '0' && text[0] <= '9';
  if (ours && cut_end(static_cast<size_t>(size_ - begin))) {
    size_ = begin;
    ++owed_;
  } else if (::write(file_.get(), "\n", 1) == 1) {
    ++size_;
  }
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
  if (rename_files() && !reopen()) file_.reset();
}

bool log_file::rename_files() {
  const rotation_lock lock(target_.path);
  if (lock.refused()) return false;  // it goes on in this file, and is tried again with the next lines
  for (const char* suffix : {"", ".zst"}) {
    path_text oldest;
    numbered(oldest, target_.path, target_.max_files, suffix);
    unlink(oldest.c_str());
  }
  for (uint32_t number = target_.max_files; number-- > 0;) {
    path_text from;
    path_text to;
    numbered(from, target_.path, number);
    numbered(to, target_.path, number + 1);
    if (rename(from.c_str(), to.c_str()) != 0 && number == 0) return errno == ENOENT;
    if (number == 0) break;
    path_text packed_from;
    path_text packed_to;
    numbered(packed_from, target_.path, number, ".zst");
    numbered(packed_to, target_.path, number + 1, ".zst");
    rename(packed_from.c_str(), packed_to.c_str());
  }
  return true;
}

bool log_file::day_is_over(const char* lines) const {
  return target_.daily != 0 && size_ > 0 && memcmp(day_, lines, sizeof day_) != 0;
}

// Asks for the end: somebody may have truncated the file.
bool log_file::cut_end(size_t bytes) const {
  struct stat info;
  return fstat(file_.get(), &info) == 0 && info.st_size >= static_cast<off_t>(bytes) &&
         ftruncate(file_.get(), info.st_size - static_cast<off_t>(bytes)) == 0;
}

bool log_file::write_piece(const char* lines, size_t length, size_t& kept) {
  kept = 0;
  size_t done = 0;
  while (done < length) {
    const ssize_t wrote = ::write(file_.get(), lines + done, length - done);
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote <= 0) {
      kept = whole_lines(lines, done);
      if (kept < done && !cut_end(done - kept)) kept = done;
      size_ += kept;
      return false;
    }
    done += static_cast<size_t>(wrote);
  }
  kept = done;
  size_ += done;
  return true;
}

void log_file::owe(uint64_t lines) {
  if (target_.path[0] != 0) owed_ += lines;
}

uint64_t log_file::give_up(uint64_t lost) {
  owed_ += lost;
  retry_at_ms_ = monotonic_ms() + retry_after_ms;
  return lost;
}

// Its length in the file, 0 when it could not be written.
size_t log_file::write_note(const char* stamp) {
  fixed_text<128> note;
  note.put(stamp, stamp_size) << " stderr F hasup: " << owed_ << " lines dropped\n";
  if (size_ == 0) memcpy(day_, stamp, sizeof day_);
  size_t kept = 0;
  return write_piece(note.c_str(), note.size(), kept) ? note.size() : 0;
}

void log_file::tell_owed(const char* stamp) {
  if (owed_ == 0 || target_.path[0] == 0 || !ready()) return;
  if (write_note(stamp) == 0) {
    give_up(0);
    return;
  }
  owed_ = 0;
  retry_at_ms_ = 0;
}

uint64_t log_file::write(const char* lines, size_t length) {
  if (target_.path[0] == 0) return 0;
  if (!ready()) {
    const uint64_t lost = count_lines(lines, length);
    owed_ += lost;
    return lost;
  }
  if (day_is_over(lines)) {
    rotate();
    if (!file_) return give_up(count_lines(lines, length));
  }
  size_t note = 0;
  if (owed_ > 0 && (note = write_note(lines)) == 0) return give_up(count_lines(lines, length));
  const uint64_t told = note > 0 ? owed_ : 0;
  owed_ -= told;
  while (length > 0) {
    if (!file_) return give_up(count_lines(lines, length));
    size_t now = length;
    if (target_.max_size > 0 && size_ + length > target_.max_size) {
      now = size_ < target_.max_size ? whole_lines(lines, static_cast<size_t>(target_.max_size - size_)) : 0;
      if (now == 0 && size_ > 0) {
        const uint64_t before = size_;
        rotate();
        if (!file_) continue;
        if (size_ != before) note = 0;  // it is in the file before
        // It cannot be renamed: better one long file than no log.
        now = size_ == before ? length : 0;
        if (now == 0) continue;
      }
      if (now == 0) now = static_cast<size_t>(static_cast<const char*>(memchr(lines, '\n', length)) - lines) + 1;
    }
    if (size_ == 0) memcpy(day_, lines, sizeof day_);
    size_t kept = 0;
    if (!write_piece(lines, now, kept)) {
      // A note that no line follows would come again with each try.
      if (kept == 0 && note > 0 && cut_end(note)) {
        size_ -= note;
        owed_ += told;
      }
      return give_up(count_lines(lines + kept, length - kept));
    }
    note = 0;
    lines += now;
    length -= now;
  }
  retry_at_ms_ = 0;
  return 0;
}

}  // namespace hasup::shim
