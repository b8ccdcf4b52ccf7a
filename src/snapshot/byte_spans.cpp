#include "snapshot/byte_spans.hpp"

#include <algorithm>

namespace hasup::snapshot {

void byte_spans::add(byte_span s) {
  if (s.first >= s.end) return;
  auto from = spans_.upper_bound(s.first);
  if (from != spans_.begin() && std::prev(from)->second >= s.first) --from;
  while (from != spans_.end() && from->first <= s.end) {
    s.first = std::min(s.first, from->first);
    s.end = std::max(s.end, from->second);
    bytes_ -= from->second - from->first;
    from = spans_.erase(from);
  }
  spans_.emplace(s.first, s.end);
  bytes_ += s.size();
}

void byte_spans::clear() {
  spans_.clear();
  bytes_ = 0;
}

std::uint64_t byte_spans::prefix() const {
  return spans_.empty() || spans_.begin()->first > 0 ? 0 : spans_.begin()->second;
}

std::uint64_t byte_spans::end() const {
  return spans_.empty() ? 0 : spans_.rbegin()->second;
}

std::optional<std::uint64_t> byte_spans::covered_until(std::uint64_t at) const {
  const auto after = spans_.upper_bound(at);
  if (after == spans_.begin()) return std::nullopt;
  const auto before = std::prev(after);
  return before->second > at ? std::optional(before->second) : std::nullopt;
}

bool byte_spans::covers(byte_span s) const {
  return s.first >= s.end || covered_until(s.first).value_or(0) >= s.end;
}

std::optional<std::uint64_t> byte_spans::next_after(std::uint64_t at) const {
  const auto after = spans_.upper_bound(at);
  return after == spans_.end() ? std::nullopt : std::optional(after->first);
}

std::optional<byte_span> next_gap(const byte_spans& have, const byte_spans& asked, std::uint64_t total,
                                  std::uint64_t piece, std::uint64_t join) {
  auto at = have.prefix();  // spans can be many, and are filled from the start on
  while (at < total) {
    const auto here = have.covered_until(at);
    const auto there = asked.covered_until(at);
    if (here || there) {
      at = std::max(here.value_or(0), there.value_or(0));
      continue;
    }
    const auto most = std::min({total, at - at % piece + piece, asked.next_after(at).value_or(total)});
    auto end = std::min(most, have.next_after(at).value_or(total));
    while (end < most) {
      const auto behind = have.covered_until(end).value_or(end);
      if (behind - end >= join || behind >= most) break;
      end = std::min(most, have.next_after(behind).value_or(total));
    }
    return byte_span{at, end};
  }
  return std::nullopt;
}

}  // namespace hasup::snapshot
