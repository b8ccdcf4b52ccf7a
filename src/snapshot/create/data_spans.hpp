// Where a file has data, and where holes.
#pragma once

#include <cstdint>
#include <vector>

#include "snapshot/outcome.hpp"

namespace hasup::snapshot {

struct data_span {
  std::uint64_t offset = 0;
  std::uint64_t size = 0;

  friend bool operator==(const data_span&, const data_span&) = default;
};

// Pure: spans with fewer than `least_hole` bytes between them become one, none reaches beyond `size`. Spans come in
// order.
std::vector<data_span> joined_spans(const std::vector<data_span>& spans, std::uint64_t size,
                                    std::uint64_t least_hole);

// Of a file of `size` bytes; one span where the file system does not say.
outcome<std::vector<data_span>> find_data(int fd, std::uint64_t size);

}  // namespace hasup::snapshot
