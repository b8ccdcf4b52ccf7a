// A bounded queue of buffers between two threads: who fills waits for who empties, so memory stays bounded however
// unequal the two are. Buffers go round, since new ones would be page faults.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "snapshot/outcome.hpp"

namespace hasup::snapshot {

// Its bytes are not zeroed beforehand.
struct buffer {
  buffer() = default;
  explicit buffer(std::size_t size) : data(std::make_unique_for_overwrite<char[]>(size)), capacity(size) {}

  std::unique_ptr<char[]> data;
  std::size_t capacity = 0;
  std::size_t filled = 0;
  std::uint64_t offset = 0;  // of its first byte in the file, where it is one of a file
};

class block_queue {
 public:
  block_queue(std::size_t block_size, std::size_t depth) : block_size_(block_size), depth_(depth) {}

  // For who fills. False and nothing: who empties wants no more.
  std::optional<buffer> to_fill();  // waits until there is room
  bool push(buffer b);
  void finish();           // after the last one
  void fail(failure why);  // instead; what was pushed before still comes out

  // For who empties. Waits; nothing at the end.
  outcome<std::optional<buffer>> pop();
  void give_back(buffer b);
  void close();  // wants no more

 private:
  std::size_t block_size_;
  std::size_t depth_;
  std::mutex mutex_;
  std::condition_variable room_;
  std::condition_variable there_;
  std::deque<buffer> blocks_;
  std::vector<buffer> free_;
  std::size_t out_ = 0;  // given to who fills and not pushed yet
  bool finished_ = false;
  bool closed_ = false;
  std::optional<failure> failure_;
};

}  // namespace hasup::snapshot
