// Which chunks of an archive are not here yet, and whether some bytes that are at hand are one of them. Pure.
#pragma once

#include <cstdint>
#include <vector>

#include "snapshot/byte_spans.hpp"
#include "snapshot/delta/chunk_index.hpp"

namespace hasup::snapshot {

class missing_chunks {
 public:
  using id = std::uint32_t;  // in the order of the archive

  // `have`: bytes of the archive that are here.
  missing_chunks(chunk_index index, const byte_spans& have);

  [[nodiscard]] bool empty() const { return missing_ == 0; }
  [[nodiscard]] std::uint64_t total() const { return total_; }  // bytes of the archive
  [[nodiscard]] std::uint64_t largest_frame() const { return largest_frame_; }
  [[nodiscard]] std::uint64_t largest_content() const { return largest_content_; }

  // False: no frame of so many bytes is missing, so its digest needs not be known.
  [[nodiscard]] bool wants_frame_of(std::uint64_t bytes) const;
  // The same of what it unpacks to.
  [[nodiscard]] bool wants_content_of(std::uint64_t bytes) const;
  // The missing ones whose frame this is; an archive may have the same one more than once.
  [[nodiscard]] std::vector<id> with_frame(std::uint64_t bytes, const chunk_digest& digest) const;
  // The missing ones that unpack to this.
  [[nodiscard]] std::vector<id> with_content(std::uint64_t bytes, const chunk_digest& digest) const;

  [[nodiscard]] const chunk& at(id one) const { return index_.chunks[one]; }
  [[nodiscard]] byte_span place_of(id one) const {
    return {offsets_[one], offsets_[one] + index_.chunks[one].packed};
  }
  void found(id one);

 private:
  chunk_index index_;
  std::vector<std::uint64_t> offsets_;
  std::vector<bool> is_missing_;
  std::vector<id> by_frame_;    // sorted by digest
  std::vector<id> by_content_;  // the same
  std::vector<std::uint64_t> frame_sizes_;
  std::vector<std::uint64_t> content_sizes_;
  std::size_t missing_ = 0;
  std::uint64_t total_ = 0;
  std::uint64_t largest_frame_ = 0;
  std::uint64_t largest_content_ = 0;
};

}  // namespace hasup::snapshot
