// Maps and writes the record page.
#include "shim/record_page.hpp"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

namespace hasup::shim {

namespace {

// In the page behind that of the record; what a torn write left does not pass the checksum.
struct stored_target {
  uint64_t checksum;
  uint64_t max_size;
  uint32_t max_files;
  uint32_t path_length;
  char path[max_log_path];
  uint32_t daily;  // younger than the checksum, which does not cover it
};
// Behind it; in the file of an older shim there are zeros, which do not pass the checksum either.
struct stored_cgroup {
  uint64_t checksum;
  uint64_t length;
  char path[max_cgroup_path];
};
constexpr size_t cgroup_at = 3200;

constexpr size_t file_size = 2 * process::record_page_size;
static_assert(sizeof(stored_target) <= cgroup_at);
static_assert(cgroup_at + sizeof(stored_cgroup) <= process::record_page_size);

uint64_t checksum_of(const stored_target& stored) {
  return process::fnv64(&stored.max_size,
                        offsetof(stored_target, path) - sizeof stored.checksum + stored.path_length);
}

uint64_t checksum_of(const stored_cgroup& stored) {
  return process::fnv64(&stored.length, sizeof stored.length + stored.length);
}

stored_cgroup* cgroup_of(void* page) {
  return reinterpret_cast<stored_cgroup*>(static_cast<char*>(page) + process::record_page_size + cgroup_at);
}

stored_target* target_of(void* page) {
  return reinterpret_cast<stored_target*>(static_cast<char*>(page) + process::record_page_size);
}

}  // namespace

bool record_page::open(const places& p, const char* name) {
  file_.reset(openat(p.records.get(), name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!file_) return false;
  // Allocated now, so that a store into the page can never fail for want of space.
  if (const int failure = posix_fallocate(file_.get(), 0, file_size)) {
    errno = failure;
    return false;
  }
  page_ = mmap(nullptr, file_size, PROT_READ | PROT_WRITE, MAP_SHARED, file_.get(), 0);
  if (page_ == MAP_FAILED) return false;
  sequence_ = process::read_record_page(page_, now);
  if (sequence_ == 0) now = process::shim_record{};
  return true;
}

void record_page::save() {
  process::write_record_page(page_, now, sequence_);
}

bool record_page::load_log_target(log_target& out) const {
  const stored_target* const stored = target_of(page_);
  if (stored->path_length >= max_log_path || stored->checksum != checksum_of(*stored)) return false;
  out = {stored->path, stored->max_size, stored->max_files, stored->daily == 1 ? 1U : 0U};
  return true;
}

const char* record_page::load_cgroup() const {
  const stored_cgroup* const stored = cgroup_of(page_);
  if (stored->length == 0 || stored->length >= max_cgroup_path || stored->checksum != checksum_of(*stored)) return "";
  return stored->path;
}

void record_page::save_cgroup(const char* path) {
  stored_cgroup* const stored = cgroup_of(page_);
  stored->length = strlen(path);
  memcpy(stored->path, path, stored->length + 1);
  stored->checksum = checksum_of(*stored);
}

void record_page::save_log_target(const log_target& target) {
  stored_target* const stored = target_of(page_);
  stored->max_size = target.max_size;
  stored->max_files = target.max_files;
  stored->daily = target.daily;
  stored->path_length = static_cast<uint32_t>(strlen(target.path));
  memmove(stored->path, target.path, stored->path_length + 1);  // it may be what load_log_target gave out
  stored->checksum = checksum_of(*stored);
}

}  // namespace hasup::shim
