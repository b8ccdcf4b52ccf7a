// An append-only log of consecutive blocks: blocks/blocks.log and state-history/trace_history.log.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/result.hpp"
#include "base/unique_fd.hpp"
#include "demo/node/chain_types.hpp"

namespace hasup::demo {

class range_log {
 public:
  // Opens what is there; a torn last record is cut off. No file = empty, and created by the first append.
  base::result<void> open(std::string path);

  [[nodiscard]] bool empty() const { return count_ == 0; }
  [[nodiscard]] std::uint32_t first() const { return first_; }
  [[nodiscard]] std::uint32_t last() const { return first_ + count_ - 1; }
  [[nodiscard]] std::uint32_t size() const { return count_; }
  [[nodiscard]] const std::optional<digest>& chain() const { return chain_; }
  [[nodiscard]] base::result<block> read(std::uint32_t number) const;

  // The next block; the first append of an empty log decides where it begins and to which chain it belongs.
  base::result<void> append(const digest& chain, block b);
  // Forgets everything above `number`.
  base::result<void> cut_above(std::uint32_t number);

 private:
  struct header;
  std::string path_;
  base::unique_fd fd_;
  std::optional<digest> chain_;
  std::uint32_t first_ = 0;
  std::uint32_t count_ = 0;
};

}  // namespace hasup::demo
