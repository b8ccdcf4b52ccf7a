// The kinds of checksums that backup hosts publish.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "base/enum_names.hpp"

namespace hasup::snapshot {

enum class digest_kind {
  sha256,
  sha512,
  blake2b,  // of 512 bits, as b2sum gives it
  md5,      // against damage only: whoever wants to can make another file with the same
};
inline constexpr base::enum_names<digest_kind, 4> digest_kind_names{{{{digest_kind::sha256, "sha256"},
                                                                      {digest_kind::sha512, "sha512"},
                                                                      {digest_kind::blake2b, "blake2b"},
                                                                      {digest_kind::md5, "md5"}}}};

constexpr std::size_t hex_digits(digest_kind kind) {
  return kind == digest_kind::md5 ? 32 : kind == digest_kind::sha256 ? 64 : 128;
}

// Of the file beside an archive that says its digest.
constexpr std::string_view ending_of(digest_kind kind) {
  switch (kind) {
    case digest_kind::sha256:
      return ".sha256";
    case digest_kind::sha512:
      return ".sha512";
    case digest_kind::blake2b:
      return ".b2";
    case digest_kind::md5:
      break;
  }
  return ".md5";
}

struct announced_digest {
  digest_kind kind = digest_kind::sha256;
  std::string hex;   // lower case
  std::string by{};  // who says so, for messages: "manifest.json and a.bin.sha256"

  // "sha256:…"
  [[nodiscard]] std::string text() const { return std::string(digest_kind_names.text(kind)) + ":" + hex; }
  friend bool operator==(const announced_digest& a, const announced_digest& b) {
    return a.kind == b.kind && a.hex == b.hex;
  }
};

}  // namespace hasup::snapshot
