// Which bytes of a file are there, and which to ask for next. Pure.
#pragma once

#include <cstdint>
#include <map>
#include <optional>

namespace hasup::snapshot {

// [first, end)
struct byte_span {
  std::uint64_t first = 0;
  std::uint64_t end = 0;

  [[nodiscard]] std::uint64_t size() const { return end - first; }
  friend bool operator==(const byte_span&, const byte_span&) = default;
};

// Spans that touch become one.
class byte_spans {
 public:
  void add(byte_span s);
  void clear();

  [[nodiscard]] bool empty() const { return spans_.empty(); }
  [[nodiscard]] std::uint64_t bytes() const { return bytes_; }  // in all spans
  [[nodiscard]] std::uint64_t prefix() const;                   // from byte 0 on without a gap
  [[nodiscard]] std::uint64_t end() const;                      // of the last span
  // The end of the span that `at` is in; nothing where no byte is there.
  [[nodiscard]] std::optional<std::uint64_t> covered_until(std::uint64_t at) const;
  [[nodiscard]] bool covers(byte_span s) const;  // all of it
  // Where the first span behind `at` begins; nothing when there is none.
  [[nodiscard]] std::optional<std::uint64_t> next_after(std::uint64_t at) const;
  [[nodiscard]] const std::map<std::uint64_t, std::uint64_t>& all() const { return spans_; }  // first -> end

  friend bool operator==(const byte_spans&, const byte_spans&) = default;

 private:
  std::map<std::uint64_t, std::uint64_t> spans_;
  std::uint64_t bytes_ = 0;
};

// The first bytes below `total` that are neither here nor asked for, up to the next multiple of `piece`: pieces stand
// at the same places in every attempt, and what is hashed in order is never far behind. Nothing when all is asked
// for. What is here between two gaps is asked for with them where it is less than `join`: a request costs more.
std::optional<byte_span> next_gap(const byte_spans& have, const byte_spans& asked, std::uint64_t total,
                                  std::uint64_t piece, std::uint64_t join = 0);

}  // namespace hasup::snapshot
