#include "snapshot/delta/missing_chunks.hpp"

#include <algorithm>

namespace hasup::snapshot {
namespace {

using id = missing_chunks::id;

template <class Digest>
void sort_by(std::vector<id>& ids, const std::vector<chunk>& chunks, Digest digest) {
  std::sort(ids.begin(), ids.end(), [&](id a, id b) {
    const auto& left = chunks[a].*digest;
    const auto& right = chunks[b].*digest;
    return left == right ? a < b : left < right;
  });
}

// Of the ids that are sorted by that digest, those that have it.
template <class Digest>
std::pair<std::vector<id>::const_iterator, std::vector<id>::const_iterator> with(const std::vector<id>& ids,
                                                                                 const std::vector<chunk>& chunks,
                                                                                 Digest digest,
                                                                                 const chunk_digest& wanted) {
  const auto first = std::lower_bound(ids.begin(), ids.end(), wanted,
                                      [&](id a, const chunk_digest& d) { return chunks[a].*digest < d; });
  auto last = first;
  while (last != ids.end() && chunks[*last].*digest == wanted) ++last;
  return {first, last};
}

}  // namespace

missing_chunks::missing_chunks(chunk_index index, const byte_spans& have) : index_(std::move(index)) {
  const auto& chunks = index_.chunks;
  offsets_.reserve(chunks.size());
  is_missing_.resize(chunks.size());
  for (id i = 0; i < chunks.size(); ++i) {
    offsets_.push_back(total_);
    total_ += chunks[i].packed;
    if (chunks[i].packed == 0 || have.covers(place_of(i))) continue;
    is_missing_[i] = true;
    ++missing_;
    by_frame_.push_back(i);
    frame_sizes_.push_back(chunks[i].packed);
    content_sizes_.push_back(chunks[i].size);
    largest_frame_ = std::max(largest_frame_, chunks[i].packed);
    largest_content_ = std::max(largest_content_, chunks[i].size);
  }
  by_content_ = by_frame_;
  sort_by(by_frame_, chunks, &chunk::packed_digest);
  sort_by(by_content_, chunks, &chunk::digest);
  for (auto* sizes : {&frame_sizes_, &content_sizes_}) {
    std::sort(sizes->begin(), sizes->end());
    sizes->erase(std::unique(sizes->begin(), sizes->end()), sizes->end());
  }
}

bool missing_chunks::wants_content_of(std::uint64_t bytes) const {
  return missing_ > 0 && std::binary_search(content_sizes_.begin(), content_sizes_.end(), bytes);
}

bool missing_chunks::wants_frame_of(std::uint64_t bytes) const {
  return missing_ > 0 && std::binary_search(frame_sizes_.begin(), frame_sizes_.end(), bytes);
}

std::vector<id> missing_chunks::with_frame(std::uint64_t bytes, const chunk_digest& digest) const {
  std::vector<id> out;
  const auto [first, last] = with(by_frame_, index_.chunks, &chunk::packed_digest, digest);
  std::copy_if(first, last, std::back_inserter(out), [&](id i) { return is_missing_[i] && at(i).packed == bytes; });
  return out;
}

std::vector<id> missing_chunks::with_content(std::uint64_t bytes, const chunk_digest& digest) const {
  std::vector<id> out;
  const auto [first, last] = with(by_content_, index_.chunks, &chunk::digest, digest);
  std::copy_if(first, last, std::back_inserter(out), [&](id i) { return is_missing_[i] && at(i).size == bytes; });
  return out;
}

void missing_chunks::found(id one) {
  if (!is_missing_[one]) return;
  is_missing_[one] = false;
  --missing_;
}

}  // namespace hasup::snapshot
