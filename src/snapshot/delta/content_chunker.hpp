// Where a stream is cut into chunks: where its content says so, so that what is the same in two streams becomes the
// same chunks, whatever stands before it. Pure; no copy is made.
//
// Where it cuts is a format: archives of many years, and the same data on the hosts that restore them, must be cut at
// the same places. Nothing of this is ever changed:
//
//   table[0..255]   the first 256 numbers of splitmix64 that begins with 0
//   hash            before each chunk 0; for each of its bytes, from byte least - 64 on (counted from 0):
//                   hash = 2 * hash + table[byte], modulo 2^64. So it depends on the last 64 bytes alone.
//   a chunk of n bytes ends with its last byte b(n-1)
//     when  least <= n < usual  and hash < 2^44   (once in 2^20 bytes)
//     when  usual <= n < most   and hash < 2^48   (once in 2^16 bytes)
//     when  n = most
//
// Of random data a chunk has 294 KiB in the mean, and four of five have between 173 KiB and 393 KiB. (One threshold
// alone would make far longer and shorter ones of the same mean: a changed byte costs a whole chunk, and it falls
// into a long one rather than a short one.) Of data that repeats itself, such as zeros, each has `most`.
//
// An index of a very large archive would have too many of them: there all sizes are doubled, up to three times, and
// the thresholds are halved as often. An archive and its index say how often; what is cut so has no chunks in common
// with what is cut otherwise.
#pragma once

#include <cstddef>
#include <cstdint>

namespace hasup::snapshot {

class content_chunker {
 public:
  static constexpr std::size_t least = std::size_t{64} << 10U;
  static constexpr std::size_t usual = std::size_t{256} << 10U;
  static constexpr std::size_t most = std::size_t{1} << 20U;
  static constexpr unsigned most_doublings = 3;

  // So that an archive of so many bytes has fewer chunks than an index may have (chunk_index.hpp); up to 256 GiB.
  static unsigned doublings_for(std::uint64_t bytes);

  // `doublings` is at most most_doublings.
  explicit content_chunker(unsigned doublings = 0) : doublings_(doublings) {}

  struct taken {
    std::size_t bytes = 0;  // so many of those given belong to the present chunk
    bool ends = false;      // and it ends with them: what follows begins a new one

    friend bool operator==(const taken&, const taken&) = default;
  };
  // How the stream is handed over in pieces does not matter. Takes all of it unless a chunk ends before.
  taken take(const char* data, std::size_t size);

  // What follows begins a new chunk, whatever the content says.
  void cut();
  // Bytes of the present chunk.
  [[nodiscard]] std::size_t size() const { return at_; }

 private:
  unsigned doublings_;
  std::size_t at_ = 0;
  std::uint64_t hash_ = 0;
};

}  // namespace hasup::snapshot
