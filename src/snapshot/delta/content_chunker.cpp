#include "snapshot/delta/content_chunker.hpp"

#include <algorithm>
#include <array>

namespace hasup::snapshot {
namespace {

constexpr std::size_t window = 64;
constexpr std::uint64_t strict = std::uint64_t{1} << 44U;
constexpr std::uint64_t lenient = std::uint64_t{1} << 48U;

// Sebastiano Vigna's splitmix64, https://prng.di.unimi.it/splitmix64.c
constexpr std::array<std::uint64_t, 256> numbers() {
  std::array<std::uint64_t, 256> out{};
  std::uint64_t state = 0;
  for (auto& number : out) {
    state += 0x9e3779b97f4a7c15U;
    auto z = state;
    z = (z ^ (z >> 30U)) * 0xbf58476d1ce4e5b9U;
    z = (z ^ (z >> 27U)) * 0x94d049bb133111ebU;
    number = z ^ (z >> 31U);
  }
  return out;
}
constexpr auto table = numbers();

std::uint64_t rolled(std::uint64_t hash, const char* byte) {
  return (hash << 1U) + table[static_cast<unsigned char>(*byte)];
}

struct place {
  const char* at;
  std::uint64_t hash;
};

// Up to behind the byte that makes the hash small enough, or to the end.
place find_end(const char* from, const char* to, std::uint64_t hash, std::uint64_t below) {
  for (; to - from >= 4; from += 4) {
    hash = rolled(hash, from);
    if (hash < below) return {from + 1, hash};
    hash = rolled(hash, from + 1);
    if (hash < below) return {from + 2, hash};
    hash = rolled(hash, from + 2);
    if (hash < below) return {from + 3, hash};
    hash = rolled(hash, from + 3);
    if (hash < below) return {from + 4, hash};
  }
  for (; from < to; ++from) {
    hash = rolled(hash, from);
    if (hash < below) return {from + 1, hash};
  }
  return {from, hash};
}

}  // namespace

unsigned content_chunker::doublings_for(std::uint64_t bytes) {
  constexpr std::uint64_t without = std::uint64_t{32} << 30U;
  unsigned out = 0;
  while (out < most_doublings && (bytes >> out) > without) ++out;
  return out;
}

content_chunker::taken content_chunker::take(const char* data, std::size_t size) {
  const auto shortest = least << doublings_;
  const auto wanted = usual << doublings_;
  const auto longest = most << doublings_;
  std::size_t done = 0;
  // The zone of the present chunk up to where it has `end` bytes.
  const auto upto = [&](std::size_t end) { return std::min(size - done, at_ < end ? end - at_ : 0); };
  const auto skip = upto(shortest - window);
  done += skip;
  at_ += skip;
  for (auto n = upto(shortest - 1); n > 0; --n, ++done, ++at_) hash_ = rolled(hash_, data + done);
  const auto search = [&](std::size_t end, std::uint64_t below) {
    const auto n = upto(end);
    if (n == 0) return false;
    const auto found = find_end(data + done, data + done + n, hash_, below);
    hash_ = found.hash;
    const auto passed = static_cast<std::size_t>(found.at - (data + done));
    done += passed;
    at_ += passed;
    return hash_ < below;
  };
  if (search(wanted - 1, strict >> doublings_) || search(longest - 1, lenient >> doublings_)) {
    cut();
    return {done, true};
  }
  if (at_ == longest - 1 && done < size) {
    cut();
    return {done + 1, true};
  }
  return {done, false};
}

void content_chunker::cut() {
  at_ = 0;
  hash_ = 0;
}

}  // namespace hasup::snapshot
