// What a shim remembers beyond its own death: one preallocated, mapped page, STATE/records/UNIT@N.
//
// The page has two slots that are written in turn, each with a sequence number and a checksum: whoever is killed in
// the middle of a write leaves the other slot whole. A store into a mapped page survives the death of every process
// and costs no system call; it is not synced, because after a crash of the machine the boot id differs anyhow.
// Plain POSIX; writer: the shim, readers: shim and daemon. The layout of shim_record is frozen: fields are appended.
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <string.h>

namespace hasup::process {

enum class shim_phase : uint32_t {
  idle = 0,         // nothing was run
  spawning = 1,     // the child exists and waits before its exec
  running = 2,      // the main process runs
  exited = 3,       // the main process ended, its tree is not empty yet
  tree_empty = 4,   // the run is over
  exec_failed = 5,  // the run never began
  orphaned = 6,     // the main process runs, but its shim died and this one has not attached to it
};

enum class exit_kind : uint32_t { none = 0, code = 1, signal = 2, lost = 3 };

// In a field that an older shim has not written: what it does not write keeps its first value.
inline constexpr uint64_t not_known = ~0ULL;

struct shim_record {
  uint64_t run = 0;
  int32_t shim_pid = 0;
  int32_t pid = 0;          // of the main process
  uint64_t start_time = 0;  // its kernel start time; pid, start time and boot id name a process without doubt
  char boot_id[40] = {};    // as in /proc/sys/kernel/random/boot_id, NUL-ended
  shim_phase phase = shim_phase::idle;
  uint32_t attached = 0;  // 1: this shim is not the parent; the exit status will be lost
  exit_kind ended = exit_kind::none;
  int32_t exit_value = 0;  // the code or signal
  uint32_t core_dumped = 0;
  uint32_t exec_stage = 0;  // exec_stage of shim_protocol.hpp
  int32_t exec_errno = 0;
  uint32_t lease_action = 0;
  int64_t started_at_ns = 0;  // CLOCK_REALTIME; 0: not yet
  int64_t exited_at_ns = 0;
  int64_t tree_empty_at_ns = 0;
  uint64_t logs_dropped = 0;  // lines, of this run
  uint64_t lease_valid_until_ms = 0;
  uint32_t lease_signal = 0;
  uint32_t lease_expired = 0;  // 1: the dead-man timer fired
  // Version 0.1.0 ends here.
  uint32_t in_cgroup = 0;         // 1: the node runs in the cgroup that was asked for
  uint32_t oom_kills = 0;         // processes of this run that the kernel killed for want of memory
  uint64_t oom_kills_before = 0;  // what the cgroup had counted before this run
  // The inodes of the pipes that were made for its output: by them a later shim knows which of a process's pipes are
  // its own to read. 0: not known, or none were made.
  uint64_t out_pipe = 0;
  uint64_t err_pipe = 0;
  uint32_t from_outside = 0;  // 1: this run was not started by a shim but taken over (attach)
  uint32_t reserved = 0;
  uint64_t lived_ms = not_known;  // from its start to its end, by CLOCK_BOOTTIME; not_known: nobody saw it end
  // Processes that the kernel killed for want of memory on the whole machine (oom_kill of /proc/vmstat): before this
  // run, and since then, up to its end. None where the cgroup counts its own.
  uint64_t machine_oom_kills_before = not_known;
  uint32_t machine_oom_kills = 0;
  uint32_t kill_sent = 0;  // 1: SIGKILL went to the main process by way of its shim
};
static_assert(sizeof(shim_record) == 208, "frozen: append only");

inline constexpr size_t record_page_size = 4096;
inline constexpr size_t record_slot_size = 2048;
inline constexpr uint32_t record_magic = 0x31524348;  // "HCR1"

struct record_slot {
  uint32_t magic;
  uint32_t length;  // of the record: an older one is shorter, a newer one longer
  uint64_t sequence;
  uint64_t checksum;  // FNV-1a over length, sequence and the record
  char record[record_slot_size - 24];
};
static_assert(sizeof(record_slot) == record_slot_size && sizeof(shim_record) <= sizeof(record_slot::record));

inline uint64_t fnv64(const void* data, size_t length, uint64_t seed = 0xcbf29ce484222325ULL) {
  const auto* bytes = static_cast<const unsigned char*>(data);
  for (size_t i = 0; i < length; ++i) seed = (seed ^ bytes[i]) * 0x100000001b3ULL;
  return seed;
}

inline uint64_t checksum_of(const record_slot& slot) {
  uint64_t sum = fnv64(&slot.length, sizeof slot.length);
  sum = fnv64(&slot.sequence, sizeof slot.sequence, sum);
  return fnv64(slot.record, slot.length, sum);
}

// Copies what it reads, so that a concurrent write can at worst spoil the checksum. 0: this slot is not valid.
inline uint64_t read_slot(const record_slot& mapped, shim_record& out) {
  record_slot copy;
  memcpy(&copy, &mapped, sizeof copy);
  if (copy.magic != record_magic || copy.length > sizeof copy.record || copy.sequence == 0) return 0;
  if (copy.checksum != checksum_of(copy)) return 0;
  out = shim_record{};
  memcpy(static_cast<void*>(&out), copy.record, copy.length < sizeof out ? copy.length : sizeof out);
  out.boot_id[sizeof out.boot_id - 1] = 0;
  return copy.sequence;
}

// The newest valid record of a page of record_page_size bytes; its sequence number, 0: there is none.
inline uint64_t read_record_page(const void* page, shim_record& out) {
  const auto* slots = static_cast<const record_slot*>(page);
  shim_record second;
  const uint64_t a = read_slot(slots[0], out);
  const uint64_t b = read_slot(slots[1], second);
  if (b <= a) return a;
  out = second;
  return b;
}

// Overwrites the older slot. `sequence` is that of the newest record and is moved on.
inline void write_record_page(void* page, const shim_record& record, uint64_t& sequence) {
  record_slot slot{};
  slot.magic = record_magic;
  slot.length = sizeof record;
  slot.sequence = ++sequence;
  memcpy(slot.record, static_cast<const void*>(&record), sizeof record);
  slot.checksum = checksum_of(slot);
  auto* target = static_cast<record_slot*>(page) + sequence % 2;
  memcpy(target, &slot, offsetof(record_slot, record) + sizeof record);
}

}  // namespace hasup::process
