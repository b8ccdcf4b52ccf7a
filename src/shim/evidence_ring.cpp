// Maps and fills the evidence ring.
#include "shim/evidence_ring.hpp"

#include <fcntl.h>
#include <sys/mman.h>

#include "shim/proc.hpp"

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif

namespace hasup::shim {

void evidence_ring::open(const places& p, const char* name) {
  const base::unique_fd file(openat(p.evidence.get(), name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
  void* memory = MAP_FAILED;
  if (file && posix_fallocate(file.get(), 0, process::evidence_file_size) == 0)
    memory = mmap(nullptr, process::evidence_file_size, PROT_READ | PROT_WRITE, MAP_SHARED, file.get(), 0);
  in_file_ = memory != MAP_FAILED;
  if (!in_file_) memory = map_lazily(process::evidence_file_size);
  header_ = static_cast<process::evidence_header*>(memory);
  hold();
  ring_ = static_cast<char*>(memory) + process::evidence_data;
  if (header_->magic != process::evidence_magic || header_->capacity != process::evidence_capacity) reset(0);
}

// A first read would map 64 KiB around it (fault-around); what is written to comes alone. Without this call, before
// Linux 5.14, it is as large, and works as well.
void evidence_ring::hold() {
  if (in_file_) madvise(header_, sizeof *header_, MADV_POPULATE_WRITE);
  held_ = true;
}

void evidence_ring::let_go() {
  if (!in_file_) return;
  madvise(header_, process::evidence_file_size, MADV_DONTNEED);
  held_ = false;
}

void evidence_ring::reset(uint64_t run) {
  if (header_->written > 0) let_go();
  if (!held_) hold();
  *header_ = {process::evidence_magic, process::evidence_capacity, run, 0, 0};
}

void evidence_ring::append(const char* data, size_t length) {
  if (!held_) hold();
  uint64_t written = header_->written;
  if (length > process::evidence_capacity) {
    const size_t skipped = length - process::evidence_capacity;
    data += skipped;
    length -= skipped;
    written += skipped;
  }
  const size_t at = written % process::evidence_capacity;
  const size_t first = length < process::evidence_capacity - at ? length : process::evidence_capacity - at;
  __atomic_store_n(&header_->reserved, written + length, __ATOMIC_RELEASE);
  __atomic_thread_fence(__ATOMIC_SEQ_CST);
  memcpy(ring_ + at, data, first);
  memcpy(ring_, data + first, length - first);
  __atomic_store_n(&header_->written, written + length, __ATOMIC_RELEASE);
}

}  // namespace hasup::shim
