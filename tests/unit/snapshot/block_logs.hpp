// Writes what a nodeos's blocks.log holds: see snapshot/block_log.hpp for the format.
#pragma once

#include <cstdint>
#include <string>

namespace hasup::test {

template <class T>
std::string little(T n) {
  std::string out;
  for (std::size_t i = 0; i < sizeof n; ++i) out += static_cast<char>(static_cast<std::uint64_t>(n) >> (8 * i));
  return out;
}

// A block with `more` bytes of transactions: the id of the one before begins with its number, big endian.
inline std::string block_bytes(std::uint32_t number, std::size_t more) {
  std::string out = little<std::uint32_t>(number * 2) + std::string(8, 'p') + std::string(2, '\0');
  for (int shift = 24; shift >= 0; shift -= 8) out += static_cast<char>((number - 1) >> shift);
  return out + std::string(28 + 2 * 32 + 4 + 68, '\7') + std::string(more, 't');
}

// Version 3; a log that begins at 1 has a genesis state, of no fixed size, where others have the chain's id.
inline std::string block_log_preamble(std::uint32_t first, std::uint32_t version = 3) {
  std::string out = little(version);
  if ((version & 0xffU) > 1) out += little(first);
  out += first == 1 ? std::string(105, 'g') : std::string(32, 'c');
  return (version & 0xffU) > 1 ? out + std::string(8, '\xff') : out;
}

inline std::string block_log_bytes(std::uint32_t first, std::uint32_t last, std::uint32_t version = 3) {
  std::string out = block_log_preamble(first, version);
  for (auto n = first; n <= last; ++n) {
    const auto at = static_cast<std::uint64_t>(out.size());
    out += block_bytes(n, n % 7 * 31) + little(at);
  }
  return out;
}

}  // namespace hasup::test
