// An archive on its way into the cache: cache/NAME.part, its bytes written in any order, hashed in order while they
// come, within the space that may be used.
//
// What is durable: the spans that cache/NAME.resume lists. A span is listed only after an fdatasync that began after
// its bytes were written, and the list is removed, durably, before the first byte of another version is written. What
// a killed worker or a power cut leaves beyond the list is fetched again.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <thread>

#include "base/unique_fd.hpp"
#include "snapshot/byte_spans.hpp"
#include "snapshot/cache_seal.hpp"
#include "snapshot/data_tree.hpp"
#include "snapshot/fetch/prefix_hash.hpp"
#include "snapshot/job_control.hpp"

namespace hasup::snapshot {

// Told of what can be read of a part file while it grows.
class part_listener {
 public:
  part_listener() = default;
  part_listener(const part_listener&) = delete;
  part_listener& operator=(const part_listener&) = delete;
  virtual ~part_listener() = default;

  virtual void begins(const std::string& path) = 0;  // of the part, relative to .hasup
  virtual void reached(std::uint64_t end) = 0;       // all below it is there and stays as it is
  virtual void given_up() = 0;                       // before a byte of it changes
};

class part_file {
 public:
  part_file(const data_tree& tree, const disk& d, std::string name, std::uint64_t min_free,
            std::set<digest_kind> kinds = {digest_kind::sha256}, part_listener* listener = nullptr);
  part_file(const part_file&) = delete;
  part_file& operator=(const part_file&) = delete;
  ~part_file();

  // What an earlier job left, when `usable` says that it is what this one wants; else an empty file.
  using note_check = std::function<bool(const resume_note&)>;
  outcome<void> open(const note_check& usable);
  outcome<void> start_over();
  // Refuses what there is no room for, with the numbers, and takes the room for the rest of `total` bytes at once.
  outcome<void> reserve(std::uint64_t total);
  outcome<void> write(std::uint64_t at, const char* data, std::size_t size);
  // The same for bytes that were at hand.
  outcome<void> seed(std::uint64_t at, const char* data, std::size_t size);
  void seeds_are_of(std::string archive) { seeds_.archive = std::move(archive); }
  void seeds_are_done() { seeds_.done = true; }
  [[nodiscard]] const seed_mark& seeds() const { return seeds_; }
  // Makes durable what is here, when enough came since the last time; does not wait for the disk.
  outcome<void> checkpoint(const resume_note& note);
  // The same at once, and waits.
  outcome<void> checkpoint_now(const resume_note& note);
  // Of all bytes, read back from the file; waits for the hashing.
  outcome<digests> digest(job_control& control);
  // fsync, rename to cache/NAME, fsync of the directory. Replaces a whole file only by a whole file.
  outcome<void> finish();
  outcome<void> remove();

  [[nodiscard]] const byte_spans& have() const { return have_; }
  [[nodiscard]] int fd() const { return fd_.get(); }
  [[nodiscard]] std::uint64_t bytes() const { return bytes_; }
  // By write() and seed(), all told: what came more than once counts so often.
  [[nodiscard]] std::uint64_t written() const { return written_; }
  [[nodiscard]] std::uint64_t prefix() const { return have_.prefix(); }

 private:
  outcome<void> use(base::unique_fd fd);
  void reached();
  outcome<void> check_space(std::uint64_t more) const;
  void begin_checkpoint(const resume_note& note);
  outcome<void> end_checkpoint();

  const data_tree& tree_;
  const disk& disk_;
  std::string name_;
  std::uint64_t min_free_;
  std::set<digest_kind> kinds_;
  part_listener* listener_;
  base::unique_fd fd_;
  std::unique_ptr<prefix_hash> hash_;
  byte_spans have_;
  seed_mark seeds_;
  std::uint64_t bytes_ = 0;
  std::uint64_t written_ = 0;
  std::uint64_t unchecked_ = 0;  // bytes since the free space was looked at
  bool reserved_ = false;

  bool noted_ = false;  // cache/NAME.resume is there
  std::uint64_t noted_bytes_ = 0;
  std::chrono::steady_clock::time_point noted_at_{};
  std::thread syncing_;
  std::atomic<bool> synced_{false};
  // Once it is an error it stays one: a disk that lost bytes says so to one fsync, and that all is well to the next.
  outcome<void> sync_result_;
};

// Digests of a file, read from its start to its end; progress in phase "verify".
outcome<digests> digests_of(int fd, const std::set<digest_kind>& kinds, job_control& control);

}  // namespace hasup::snapshot
