#include "snapshot/byte_spans.hpp"

#include <algorithm>

namespace hasup::snapshot {
namespace {

// The end of the span that `at` is in, or nothing; `next` gets the first start behind `at`.
std::optional<std::uint64_t> covered_until(const byte_spans& spans, std::uint64_t at, std::uint64_t& next) {
  const auto after = spans.all().upper_bound(at);
  if (after != spans.all().end()) next = std::min(next, after->first);
  if (after == spans.all().begin()) return std::nullopt;
  const auto before = std::prev(after);
  return before->second > at ? std::optional(before->second) : std::nullopt;
}

}  // namespace

void byte_spans::add(byte_span s) {
  if (s.first >= s.end) return;
  auto from = spans_.upper_bound(s.first);
  if (from != spans_.begin() && std::prev(from)->second >= s.first) --from;
  while (from != spans_.end() && from->first <= s.end) {
    s.first = std::min(s.first, from->first);
    s.end = std::max(s.end, from->second);
    from = spans_.erase(from);
  }
  spans_.emplace(s.first, s.end);
}

std::uint64_t byte_spans::bytes() const {
  std::uint64_t sum = 0;
  for (const auto& [first, end] : spans_) sum += end - first;
  return sum;
}

std::uint64_t byte_spans::prefix() const {
  return spans_.empty() || spans_.begin()->first > 0 ? 0 : spans_.begin()->second;
}

std::uint64_t byte_spans::end() const {
  return spans_.empty() ? 0 : spans_.rbegin()->second;
}

std::optional<byte_span> next_gap(const byte_spans& have, const byte_spans& asked, std::uint64_t total,
                                  std::uint64_t piece) {
  std::uint64_t at = 0;
  while (at < total) {
    auto next = total;
    const auto here = covered_until(have, at, next);
    const auto there = covered_until(asked, at, next);
    if (!here && !there) return byte_span{at, std::min(next, at - at % piece + piece)};
    at = std::max(here.value_or(0), there.value_or(0));
  }
  return std::nullopt;
}

}  // namespace hasup::snapshot
