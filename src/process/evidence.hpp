// The last 64 KiB that a run wrote, whole lines of both outputs in the order of reading: STATE/evidence/UNIT@N, a
// preallocated, mapped file. It is filled even when the log's disk is full or stalls. Plain POSIX; the shim writes
// it, the daemon reads it for the diagnosis of a failed start. Layout: this header, then at `evidence_data` the ring.
#pragma once

#include <stddef.h>
#include <stdint.h>

namespace hasup::process {

inline constexpr uint32_t evidence_magic = 0x31564548;  // "HEV1"
inline constexpr size_t evidence_data = 64;             // offset of the ring in the file
inline constexpr size_t evidence_capacity = 64 << 10;
inline constexpr size_t evidence_file_size = evidence_data + evidence_capacity;

struct evidence_header {
  uint32_t magic;
  uint32_t capacity;
  uint64_t run;       // the ring is emptied for each run
  uint64_t written;   // bytes of this run up to here are in place; the next one goes to written % capacity
  uint64_t reserved;  // set before a write: what lies more than capacity before it may be half overwritten
};
static_assert(sizeof(evidence_header) <= evidence_data);

}  // namespace hasup::process
