#include "snapshot/delta/repacker.hpp"

#include <array>

namespace hasup::snapshot {
namespace {

// As hasup makes archives by default, then what people ask for most.
constexpr std::array levels{3, 1, 19, 2, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18};
constexpr unsigned most_searches = 4;
constexpr unsigned most_misses = 64;

}  // namespace

bool repacker::fits(int level, std::string_view content, const chunk& wanted) {
  if (!maker_ || level_ != level) {
    maker_ = std::make_unique<frame_maker>(level);
    level_ = level;
  }
  if (frame_.size() < frame_bound(content.size())) frame_.resize(frame_bound(content.size()));
  const auto made = maker_->make(content, frame_.data(), frame_.size());
  if (!made) return false;
  bytes_ = *made;
  return bytes_ == wanted.packed && sha256_of({frame_.data(), bytes_}) == wanted.packed_digest;
}

std::optional<std::string_view> repacker::frame_of(std::string_view content, const chunk& wanted) {
  if (hopeless()) return std::nullopt;
  const auto tried = level_;
  bool found = tried && fits(*tried, content, wanted);
  // Of what does not compress all levels make the same, so the first that fits need not be the maker's.
  if (!found && searches_ < most_searches) {
    ++searches_;
    for (const int level : levels) {
      if (level == tried) continue;
      found = fits(level, content, wanted);
      if (found) break;
    }
    if (!found) {
      level_ = tried;
      maker_.reset();
    }
  }
  misses_ = found ? 0 : misses_ + 1;
  if (!found) return std::nullopt;
  return std::string_view(frame_.data(), bytes_);
}

bool repacker::hopeless() const {
  return searches_ >= most_searches && (!level_ || misses_ >= most_misses);
}

}  // namespace hasup::snapshot
