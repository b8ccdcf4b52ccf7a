// Ids and times of blocks.
#include "demo/node/chain_types.hpp"

#include <fmt/chrono.h>
#include <fmt/format.h>
#include <openssl/sha.h>

#include <chrono>
#include <cstring>

namespace hasup::demo {

std::string to_hex(const digest& d) {
  std::string text;
  for (const auto byte : d) text += fmt::format("{:02x}", byte);
  return text;
}

std::optional<digest> parse_hex(std::string_view text) {
  digest d{};
  if (text.size() != 2 * d.size()) return std::nullopt;
  const auto nibble = [](char c) -> int {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    return -1;
  };
  for (std::size_t i = 0; i < d.size(); ++i) {
    const int high = nibble(text[2 * i]);
    const int low = nibble(text[2 * i + 1]);
    if (high < 0 || low < 0) return std::nullopt;
    d[i] = static_cast<std::uint8_t>(high * 16 + low);
  }
  return d;
}

digest block_id(const digest& chain, std::uint32_t number) {
  std::array<std::uint8_t, 36> seed{};
  std::memcpy(seed.data(), chain.data(), chain.size());
  const std::array<std::uint8_t, 4> big_endian = {
      static_cast<std::uint8_t>(number >> 24), static_cast<std::uint8_t>(number >> 16),
      static_cast<std::uint8_t>(number >> 8), static_cast<std::uint8_t>(number)};
  std::memcpy(seed.data() + chain.size(), big_endian.data(), big_endian.size());
  digest id{};
  SHA256(seed.data(), seed.size(), id.data());
  std::memcpy(id.data(), big_endian.data(), big_endian.size());
  return id;
}

std::string block_time_text(std::int64_t time_ms) {
  return fmt::format("{:%Y-%m-%dT%H:%M:%S}.{:03}", fmt::gmtime(static_cast<std::time_t>(time_ms / 1000)),
                     time_ms % 1000);
}

std::int64_t now_ms() {
  const auto t = std::chrono::system_clock::now().time_since_epoch();
  return std::chrono::duration_cast<std::chrono::milliseconds>(t).count();
}

}  // namespace hasup::demo
