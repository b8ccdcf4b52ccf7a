// An archive on its way into the cache: cache/NAME.part, hashed while it is written, within the space that may be
// used.
#pragma once

#include <cstdint>
#include <string>

#include "base/unique_fd.hpp"
#include "snapshot/data_tree.hpp"
#include "snapshot/fetch/sha256.hpp"
#include "snapshot/job_control.hpp"

namespace hasup::snapshot {

class part_file {
 public:
  part_file(const data_tree& tree, std::string name, std::uint64_t min_free);

  // Opens what is there and hashes it again, so that the digest covers every byte on disk.
  outcome<void> open_existing(job_control& control);
  outcome<void> start_over();
  outcome<void> append(const char* data, std::size_t size);
  // Of `more` further bytes; a refusal names the numbers.
  outcome<void> check_space(std::uint64_t more) const;
  // fsync, rename to cache/NAME, fsync of the directory. Replaces a whole file only by a whole file.
  outcome<void> finish(const disk& d);
  outcome<void> remove(const disk& d);

  [[nodiscard]] std::uint64_t size() const { return size_; }
  // Of all bytes; ends the hashing.
  std::string digest() { return hash_.take(); }

 private:
  const data_tree& tree_;
  std::string name_;
  std::uint64_t min_free_;
  base::unique_fd fd_;
  sha256 hash_;
  std::uint64_t size_ = 0;
  std::uint64_t checked_at_ = 0;
};

// Digest of a file below `root`, read to its end; progress in phase "verify".
outcome<std::string> digest_of(int root, const std::string& path, job_control& control);

}  // namespace hasup::snapshot
