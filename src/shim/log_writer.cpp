// Formats lines and hands them to the log file.
#include "shim/log_writer.hpp"

#include <limits.h>
#include <sys/mman.h>

#include "shim/proc.hpp"

namespace hasup::shim {

namespace {

constexpr size_t text_capacity = 128 << 10;
constexpr size_t kept_when_idle = 4 << 10;
constexpr size_t prefix_size = 30 + 1 + 6 + 1 + 1 + 1;  // stamp, name, mark and the blanks between
constexpr unsigned tell_again_ms = 1000;
constexpr size_t stack_size = 64 << 10;

void put_digits(char* at, int digits, int64_t value) {
  while (digits-- > 0) {
    at[digits] = static_cast<char>('0' + value % 10);
    value /= 10;
  }
}

// "2026-11-21T01:02:03.123456789Z", 30 bytes.
void format_stamp(char* out, int64_t ns) {
  const int64_t seconds = ns / 1'000'000'000;
  const int64_t day_seconds = seconds % 86'400;
  // Days since 1970 to a date, by eras of 400 years that begin in March.
  const int64_t days = seconds / 86'400 + 719'468;
  const int64_t era = days / 146'097;
  const int64_t day_of_era = days - era * 146'097;
  const int64_t year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36'524 - day_of_era / 146'096) / 365;
  const int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
  const int64_t month_from_march = (5 * day_of_year + 2) / 153;
  const int64_t day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
  const int64_t month = month_from_march < 10 ? month_from_march + 3 : month_from_march - 9;
  const int64_t year = year_of_era + era * 400 + (month <= 2 ? 1 : 0);
  memcpy(out, "0000-00-00T00:00:00.000000000Z", 30);
  put_digits(out, 4, year);
  put_digits(out + 5, 2, month);
  put_digits(out + 8, 2, day);
  put_digits(out + 11, 2, day_seconds / 3600);
  put_digits(out + 14, 2, day_seconds / 60 % 60);
  put_digits(out + 17, 2, day_seconds % 60);
  put_digits(out + 20, 9, ns % 1'000'000'000);
}

}  // namespace

bool log_writer::start() {
  text_ = static_cast<char*>(map_lazily(text_capacity));
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  pthread_attr_setstacksize(&attributes, stack_size);
  pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
  pthread_t thread;
  return pthread_create(&thread, &attributes, &log_writer::thread_main, this) == 0;
}

void* log_writer::thread_main(void* self) {
  static_cast<log_writer*>(self)->work();
}

uint64_t log_writer::unwritten() const {
  return queue_.lines_left() - __atomic_load_n(&lines_of_front_, __ATOMIC_RELAXED) +
         __atomic_load_n(&lines_in_hand_, __ATOMIC_RELAXED);
}

void log_writer::set_target(const log_target& target) {
  pthread_mutex_lock(&mutex_);
  next_target_ = target;
  memcpy(next_path_, target.path, strlen(target.path) + 1);
  next_target_.path = next_path_;
  __atomic_store_n(&target_changed_, true, __ATOMIC_RELEASE);
  pthread_mutex_unlock(&mutex_);
}

void log_writer::take_new_target() {
  if (!__atomic_load_n(&target_changed_, __ATOMIC_ACQUIRE)) return;
  flush();
  pthread_mutex_lock(&mutex_);
  file_.set_target(next_target_);
  target_changed_ = false;
  pthread_mutex_unlock(&mutex_);
}

void log_writer::work() {
  for (;;) {
    while (const queue_entry* entry = queue_.front()) {
      take_new_target();
      format(*entry);
      queue_.release();
      __atomic_store_n(&lines_of_front_, 0, __ATOMIC_RELAXED);
    }
    flush();
    queue_.mark_idle();
    if (touched_ > kept_when_idle) {
      madvise(text_ + kept_when_idle, text_capacity - kept_when_idle, MADV_DONTNEED);
      touched_ = 0;
    }
    // A disk that has room again must be told of what is missing, also when the node is silent now.
    queue_.wait(file_.owes() ? tell_again_ms : 0);
    if (file_.owes()) tell_owed();
  }
}

void log_writer::tell_owed() {
  if (queue_.front()) return;  // what follows tells it
  format_stamp(stamp_, realtime_ns());
  stamp_ns_ = -1;
  file_.tell_owed(stamp_);
}

void log_writer::format(const queue_entry& entry) {
  const char* at = reinterpret_cast<const char*>(&entry + 1);
  size_t left = entry.length;
  if (entry.kind == piece::gap) {
    uint64_t lines = 0;
    memcpy(&lines, at, sizeof lines);
    flush();
    return file_.owe(lines);
  }
  if (entry.kind != piece::lines) return add_line(entry, entry.kind == piece::part ? 'P' : 'F', at, left);
  while (left > 0) {
    const void* const newline = memchr(at, '\n', left);
    size_t length = newline ? static_cast<size_t>(static_cast<const char*>(newline) - at) : left;
    left -= newline ? length + 1 : length;
    for (; length > max_line; length -= max_line, at += max_line) add_line(entry, 'P', at, max_line);
    add_line(entry, 'F', at, length);
    at += length + 1;
  }
}

void log_writer::add_line(const queue_entry& entry, char mark, const char* text, size_t length) {
  if (length_ + prefix_size + length + 1 > text_capacity) flush();
  if (entry.read_at_ns != stamp_ns_) {
    stamp_ns_ = entry.read_at_ns;
    format_stamp(stamp_, stamp_ns_);
  }
  char* out = text_ + length_;
  memcpy(out, stamp_, 30);
  memcpy(out + 30, entry.from == output::stdout_ ? " stdout   " : " stderr   ", 10);
  out[38] = mark;
  memcpy(out + prefix_size, text, length);
  out[prefix_size + length] = '\n';
  length_ += prefix_size + length + 1;
  if (length_ > touched_) touched_ = length_;
  if (mark == 'P') return;
  __atomic_add_fetch(&lines_in_hand_, 1, __ATOMIC_RELAXED);
  __atomic_add_fetch(&lines_of_front_, 1, __ATOMIC_RELAXED);
}

void log_writer::flush() {
  if (length_ == 0) return;
  const uint64_t lost = file_.write(text_, length_);
  __atomic_store_n(&lines_in_hand_, 0, __ATOMIC_RELAXED);
  if (lost > 0) queue_.add_dropped(lost);
  length_ = 0;
}

}  // namespace hasup::shim
