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

struct announced_digest {
  digest_kind kind = digest_kind::sha256;
  std::string hex;  // lower case

  // "sha256:…"
  [[nodiscard]] std::string text() const { return std::string(digest_kind_names.text(kind)) + ":" + hex; }
  friend bool operator==(const announced_digest&, const announced_digest&) = default;
};

}  // namespace hasup::snapshot
