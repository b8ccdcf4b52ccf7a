// Hashes a file in order while its bytes arrive in any: a thread that follows the end of what is there without a gap
// and reads it back, which the page cache answers.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <thread>

#include "snapshot/fetch/digester.hpp"
#include "snapshot/job_control.hpp"
#include "snapshot/outcome.hpp"

namespace hasup::snapshot {

using digests = std::map<digest_kind, std::string>;  // lower-case hex

class prefix_hash {
 public:
  // `fd` stays open and its bytes below `reach` unchanged for as long as this lives.
  prefix_hash(int fd, const std::set<digest_kind>& kinds);
  prefix_hash(const prefix_hash&) = delete;
  prefix_hash& operator=(const prefix_hash&) = delete;
  ~prefix_hash();

  // All bytes below `end` are there.
  void reach(std::uint64_t end);
  // How many bytes are hashed; what is less than a MiB behind waits for more, or for take().
  [[nodiscard]] std::uint64_t hashed() const;
  // Waits until the first `size` bytes are hashed; their digests. To be called once.
  outcome<digests> take(std::uint64_t size, job_control& control);

 private:
  void follow();
  [[nodiscard]] bool has_work() const;

  const int fd_;
  mutable std::mutex mutex_;
  std::condition_variable moved_;
  std::uint64_t reached_ = 0;
  std::uint64_t hashed_ = 0;
  int error_ = 0;
  bool ended_ = false;  // the file is shorter than it was said to be
  bool last_ = false;   // nothing more comes: take() waits
  bool stop_ = false;
  std::map<digest_kind, digester> hashes_;
  std::thread thread_;
};

}  // namespace hasup::snapshot
