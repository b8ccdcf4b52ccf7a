// Packs content as the maker of an archive did, whose level is found out by trying. Another libzstd than the maker's
// may make other bytes: then this gives up after a few attempts.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "snapshot/delta/chunk_index.hpp"
#include "snapshot/delta/frame.hpp"

namespace hasup::snapshot {

class repacker {
 public:
  // The very frame that `wanted` says, which has this content; nothing when it cannot be made here. Valid until the
  // next call.
  std::optional<std::string_view> frame_of(std::string_view content, const chunk& wanted);

  // Nothing more is to be expected.
  [[nodiscard]] bool hopeless() const;

 private:
  bool fits(int level, std::string_view content, const chunk& wanted);

  std::optional<int> level_;
  std::unique_ptr<frame_maker> maker_;  // of level_
  std::string frame_;
  std::size_t bytes_ = 0;
  unsigned searches_ = 0;  // that tried every level
  unsigned misses_ = 0;    // in a row
};

}  // namespace hasup::snapshot
