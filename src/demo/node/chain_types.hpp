// The few facts about a chain that all files of a node agree on.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace hasup::demo {

using digest = std::array<std::uint8_t, 32>;

struct block {
  std::uint32_t number = 0;
  std::int64_t time_ms = 0;  // since the epoch, UTC
};

std::string to_hex(const digest& d);
std::optional<digest> parse_hex(std::string_view text);

// The id of a block depends on chain and number only, so that a restored node finds the same blocks again. As in
// nodeos its first four bytes are the number.
digest block_id(const digest& chain, std::uint32_t number);

// "2026-11-21T01:02:03.500": UTC with milliseconds and without a zone, as get_info writes it.
std::string block_time_text(std::int64_t time_ms);

std::int64_t now_ms();

}  // namespace hasup::demo
