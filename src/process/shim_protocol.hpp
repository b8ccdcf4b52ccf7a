// How hasupd and a shim talk: frames on a SOCK_STREAM Unix socket. Plain POSIX; the static shim includes it too.
//
//   frame  := header payload            all numbers little-endian, nothing aligned
//   header := u32 magic "HSP1", u32 payload length, u16 version (1), u16 message
//   payload:= field*        field := u16 tag, u32 length, bytes
//
// Numbers are 4 or 8 bytes as `tag` says; a text carries its closing NUL, counted in its length, and no other NUL;
// lists are repeated tags. An unknown tag is ignored, an unknown message is answered with `error`, a frame with a
// wrong magic or above max_frame ends the connection. A shim accepts several connections; each is greeted with
// `hello`, gets the answers to its own commands in their order, and between them all pushes. A connection that does
// not read is dropped: it finds everything again in the next `hello`.
//
// Frozen, because a shim lives for months across upgrades: the frame, the numbers of messages and tags below, their
// meaning, and the layout of the record (shim_record.hpp). Growth is by new tags, new messages and fields appended to
// the record, never by a change; a new version number would mean that both speak both.
//
//   command   fields                                            answers
//   run       run, argv+, env*, directory, and the optional     started | exec_failed (both also pushed to all),
//             uid gid group* umask nice oom_score_adjust        already (this number was run before) with record,
//             limit* log_path log_max_size log_max_files        error (busy, bad_request, lease_expired)
//             log_daily cgroup data_dir* capabilities
//   signal    signal, whole_tree, run (optional: refused when   ok | error (not_running)
//             another run is meant)
//   status                                                      status with record
//   lease     lease_valid_until, lease_action, lease_signal     ok | error
//   adjust    run, and the optional limit* nice                 ok | error (not_running; failed: part of it could not
//             oom_score_adjust, log_max_size with               be changed, which the next run will have)
//             log_max_files and log_daily: of the run that
//             goes on, for every process of its tree
//   attach    pid, start_time, run, data_dir*, and for a        started | error; a dead pid: main_exited, tree_empty
//             process that never was under a shim log_path
//             log_max_size log_max_files log_daily
//   exit                                                        ok, then the shim is gone | error (busy)
//
//   push         fields
//   hello        speaks, pid (the shim's own), record, run_fields
//   started      run, pid, start_time
//   exec_failed  run, error_number, stage
//   main_exited  run, record (with exit status and time)
//   tree_empty   run, record
//   lease_expired  record
//   logs_dropped   run, record; at most one a second
#pragma once

#include <stdint.h>
#include <string.h>

namespace hasup::process {

inline constexpr uint32_t frame_magic = 0x31505348;  // "HSP1"
inline constexpr uint16_t protocol_version = 1;
inline constexpr uint32_t max_frame = 4u << 20;  // of the payload
inline constexpr uint32_t frame_header_size = 12;

enum class message : uint16_t {
  // commands
  run = 1,
  signal = 2,
  status = 3,
  lease = 4,
  exit = 5,
  attach = 6,
  adjust = 7,
  // answers and pushes
  hello = 101,
  ok = 102,
  already = 103,
  error = 104,
  status_is = 105,
  started = 106,
  exec_failed = 107,
  main_exited = 108,
  tree_empty = 109,
  lease_expired = 110,
  logs_dropped = 111,
};

enum class tag : uint16_t {
  command = 1,             // u32: the message that an ok, already or error answers
  error_code = 2,          // u32: request_error
  error_number = 3,        // u32: errno
  speaks = 4,              // u32: the newest version that the shim speaks
  record = 5,              // shim_record as in shim_record.hpp
  run_fields = 6,          // u64: bit N stands for the tag N that `run` heeds; absent: first_run_fields
  run = 10,                // u64, never 0; grows from run to run
  argv = 11,               // text, at least one
  env = 12,                // text KEY=VALUE
  directory = 13,          // text
  uid = 14,                // u32
  gid = 15,                // u32
  group = 16,              // u32
  umask = 17,              // u32
  nice = 18,               // u32, two's complement
  oom_score_adjust = 19,   // u32, two's complement
  limit = 20,              // u32 resource, u64 soft, u64 hard
  log_path = 21,           // text, absolute; absent or empty: no log file
  log_max_size = 22,       // u64, 0: no rotation
  log_max_files = 23,      // u32, beside the current one
  log_daily = 24,          // u32, 0 or 1: rotated also when a day (UTC) begins
  cgroup = 25,             // text, absolute: a directory of cgroup v2 in which the node is to run
  data_dir = 26,           // text, absolute: locked as long as the tree lives
  capabilities = 27,       // u64: a bit each, by the numbers of linux/capability.h; kept over the change of user
  pid = 30,                // u32
  start_time = 31,         // u64, clock ticks since boot, as in /proc/PID/stat
  stage = 32,              // u32: exec_stage
  signal = 40,             // u32
  whole_tree = 41,         // u32, 0 or 1
  lease_valid_until = 50,  // u64, milliseconds of CLOCK_BOOTTIME; 0: no lease
  lease_action = 51,       // u32: lease_action
  lease_signal = 52,       // u32
};

// Which fields of `run` a shim heeds. Others it ignores, so whoever needs one of them looks before.
constexpr uint64_t bit_of(tag t) {
  return static_cast<uint16_t>(t) < 64 ? 1ULL << static_cast<uint16_t>(t) : 0;
}
inline constexpr uint64_t first_run_fields = (bit_of(tag::log_max_files) << 1) - bit_of(tag::run);
#ifdef HASUP_RUN_FIELDS  // a test builds a shim of long ago
inline constexpr uint64_t run_fields = HASUP_RUN_FIELDS;
#else
inline constexpr uint64_t run_fields = first_run_fields | bit_of(tag::log_daily) | bit_of(tag::cgroup) |
                                       bit_of(tag::data_dir) | bit_of(tag::capabilities);
#endif

enum class request_error : uint32_t {
  none = 0,
  unknown_message = 1,
  bad_request = 2,    // a field is missing or malformed
  busy = 3,           // a process tree is alive
  not_running = 4,    // nothing to signal, or another run
  lease_expired = 5,  // no run without a valid lease
  failed = 6,         // error_number says why
};

// Where in the child a start failed; the order is that of the steps.
enum class exec_stage : uint32_t {
  none = 0,
  pipes,
  fork,
  session,
  limits,
  nice,
  oom_score_adjust,
  signals,
  groups,
  gid,
  uid,
  directory,
  exec,
  lost,         // the child vanished before its exec
  data_in_use,  // before the fork: another process holds the lock of a data_dir
  capabilities,
};

enum class lease_action : uint32_t { none = 0, kill = 1, signal = 2 };

struct frame_header {
  uint32_t magic;
  uint32_t length;
  uint16_t version;
  uint16_t type;
};
static_assert(sizeof(frame_header) == frame_header_size && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__);

// Appends one frame to a Sink: bool append(const void*, size_t), void patch(size_t at, const void*, size_t) and
// size_t size(). Whether all fitted is asked at the end.
template <class Sink>
class frame_writer {
 public:
  frame_writer(Sink& sink, message type) : sink_(sink), begin_(sink.size()) {
    const frame_header header{frame_magic, 0, protocol_version, static_cast<uint16_t>(type)};
    fits_ = sink_.append(&header, sizeof header);
  }
  void bytes(tag t, const void* data, size_t length) {
    const auto number = static_cast<uint16_t>(t);
    const auto size = static_cast<uint32_t>(length);
    fits_ = fits_ && sink_.append(&number, sizeof number) && sink_.append(&size, sizeof size) &&
            sink_.append(data, length);
  }
  void u32(tag t, uint32_t value) { bytes(t, &value, sizeof value); }
  void u64(tag t, uint64_t value) { bytes(t, &value, sizeof value); }
  void text(tag t, const char* zero_ended) { bytes(t, zero_ended, strlen(zero_ended) + 1); }
  // Writes the length into the header. False: the sink was full, or the frame is above max_frame.
  bool finish() {
    const size_t length = sink_.size() - begin_ - frame_header_size;
    if (!fits_ || length > max_frame) return false;
    const auto size = static_cast<uint32_t>(length);
    sink_.patch(begin_ + 4, &size, sizeof size);
    return true;
  }

 private:
  Sink& sink_;
  size_t begin_;
  bool fits_;
};

struct field {
  tag id;
  const char* data;
  uint32_t length;

  bool read(uint32_t& out) const {
    if (length != sizeof out) return false;
    memcpy(&out, data, sizeof out);
    return true;
  }
  bool read(uint64_t& out) const {
    if (length != sizeof out) return false;
    memcpy(&out, data, sizeof out);
    return true;
  }
  // Points into the payload; null when it is not a text.
  const char* text() const { return length > 0 && memchr(data, 0, length) == data + length - 1 ? data : nullptr; }
};

// Walks the fields of a payload. After the last next(), malformed() says whether the walk reached the end.
class field_reader {
 public:
  field_reader(const char* payload, size_t length) : at_(payload), left_(length) {}
  bool next(field& out) {
    uint16_t id = 0;
    uint32_t length = 0;
    if (left_ == 0) return false;
    if (left_ < sizeof id + sizeof length) return fail();
    memcpy(&id, at_, sizeof id);
    memcpy(&length, at_ + sizeof id, sizeof length);
    if (left_ - sizeof id - sizeof length < length) return fail();
    out = {static_cast<tag>(id), at_ + sizeof id + sizeof length, length};
    at_ += sizeof id + sizeof length + length;
    left_ -= sizeof id + sizeof length + length;
    return true;
  }
  bool malformed() const { return malformed_; }

 private:
  bool fail() {
    malformed_ = true;
    return false;
  }
  const char* at_;
  size_t left_;
  bool malformed_ = false;
};

}  // namespace hasup::process
