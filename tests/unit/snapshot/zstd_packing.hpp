// zstd frames as the tools of hosts write them, put together as a test wants.
#pragma once

#include <zstd.h>

#include <catch2/catch.hpp>
#include <cstdint>
#include <random>
#include <string>

namespace hasup::test {

// With a checksum, as the zstd program does it. `window_log` 0: the level's own; unless `says_size` its header leaves
// the decompressed size open, as when a pipe was compressed.
inline std::string zstd_frame(const std::string& text, int level = 1, int window_log = 0, bool says_size = true) {
  ZSTD_CCtx* c = ZSTD_createCCtx();
  ZSTD_CCtx_setParameter(c, ZSTD_c_compressionLevel, level);
  ZSTD_CCtx_setParameter(c, ZSTD_c_checksumFlag, 1);
  if (window_log != 0) ZSTD_CCtx_setParameter(c, ZSTD_c_windowLog, window_log);
  if (says_size) ZSTD_CCtx_setPledgedSrcSize(c, text.size());
  std::string out(ZSTD_compressBound(text.size()) + 64, '\0');
  ZSTD_inBuffer in{text.data(), text.size(), 0};
  ZSTD_outBuffer to{out.data(), out.size(), 0};
  if (!says_size && !text.empty()) {  // the end comes apart, so that the size is not known at the beginning
    in.size = text.size() - 1;
    REQUIRE(ZSTD_isError(ZSTD_compressStream2(c, &to, &in, ZSTD_e_continue)) == 0U);
    in.size = text.size();
  }
  REQUIRE(ZSTD_compressStream2(c, &to, &in, ZSTD_e_end) == 0);
  ZSTD_freeCCtx(c);
  out.resize(to.pos);
  return out;
}

inline std::string little_endian(std::uint32_t value) {
  std::string out;
  for (int i = 0; i < 4; ++i) out += static_cast<char>(value >> (8 * i));
  return out;
}

inline std::string skippable_frame(const std::string& text) {
  return little_endian(0x184D2A50U) + little_endian(static_cast<std::uint32_t>(text.size())) + text;
}

// `text` in frames of `size` bytes each, every one behind a skippable frame with its length, as pzstd writes them.
inline std::string pzstd(const std::string& text, std::size_t size) {
  std::string out;
  for (std::size_t at = 0; at < text.size(); at += size) {
    const auto frame = zstd_frame(text.substr(at, size), 1, 0, false);
    out += skippable_frame(little_endian(static_cast<std::uint32_t>(frame.size()))) + frame;
  }
  return out;
}

// Bytes that do not compress, always the same.
inline std::string noise(std::size_t size, std::uint64_t seed = 1) {
  std::mt19937_64 random(seed);
  std::string out(size, '\0');
  for (std::size_t i = 0; i + 8 <= size; i += 8) {
    const auto value = random();
    for (std::size_t k = 0; k < 8; ++k) out[i + k] = static_cast<char>(value >> (8 * k));
  }
  return out;
}

}  // namespace hasup::test
