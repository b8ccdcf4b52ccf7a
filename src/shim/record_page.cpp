// Maps and writes the record page.
#include "shim/record_page.hpp"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

namespace hasup::shim {

namespace {

// Behind the record page, in a page that is never mapped.
struct stored_target {
  uint64_t checksum;
  log_target target;
};
constexpr off_t target_at = process::record_page_size;
constexpr off_t file_size = 2 * process::record_page_size;
static_assert(sizeof(stored_target) <= process::record_page_size);

}  // namespace

bool record_page::open(const places& p, const char* name) {
  file_.reset(openat(p.records.get(), name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!file_) return false;
  // Allocated now, so that a store into the page can never fail for want of space.
  if (const int failure = posix_fallocate(file_.get(), 0, file_size)) {
    errno = failure;
    return false;
  }
  page_ = mmap(nullptr, process::record_page_size, PROT_READ | PROT_WRITE, MAP_SHARED, file_.get(), 0);
  if (page_ == MAP_FAILED) return false;
  sequence_ = process::read_record_page(page_, now);
  if (sequence_ == 0) now = process::shim_record{};
  return true;
}

void record_page::save() {
  process::write_record_page(page_, now, sequence_);
}

bool record_page::load_log_target(log_target& out) const {
  stored_target stored;
  if (pread(file_.get(), &stored, sizeof stored, target_at) != static_cast<ssize_t>(sizeof stored)) return false;
  if (stored.checksum != process::fnv64(&stored.target, sizeof stored.target)) return false;
  stored.target.path[sizeof stored.target.path - 1] = 0;
  out = stored.target;
  return true;
}

void record_page::save_log_target(const log_target& target) const {
  stored_target stored;
  memset(static_cast<void*>(&stored), 0, sizeof stored);
  stored.target = target;
  stored.checksum = process::fnv64(&stored.target, sizeof stored.target);
  if (pwrite(file_.get(), &stored, sizeof stored, target_at) < 0) {
    // The old one stays, whose checksum is right: a shim that takes over writes to the former place.
  }
}

}  // namespace hasup::shim
