// minisign's keys and signatures as texts: https://jedisct1.github.io/minisign/#signature-format
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.hpp"

namespace hasup::model {

struct minisign_key {
  std::string id;   // 8 bytes
  std::string key;  // 32 bytes, Ed25519
};

struct minisign_signature {
  bool prehashed = false;       // of the file's BLAKE2b-512; else, as old versions do it, of the file itself
  std::string key_id;           // 8 bytes
  std::string signature;        // 64 bytes
  std::string trusted_comment;  // without its lead
  std::string global;           // 64 bytes: of signature and trusted comment
};

inline constexpr std::size_t minisign_id_bytes = 8;

// What `minisign -G` wrote as minisign.key.
struct minisign_secret {
  bool encrypted = false;        // with a password, by scrypt
  std::string salt;              // 32 bytes
  std::uint64_t operations = 0;  // what scrypt may cost
  std::uint64_t memory = 0;
  std::string sealed;  // 104 bytes: key id, seed, public key, checksum; encrypted or not
};

// "RWQ…", the second line of minisign.pub.
base::result<minisign_key> parse_minisign_key(std::string_view text);
// NAME.minisig.
base::result<minisign_signature> parse_minisign_signature(std::string_view text);
// minisign.key.
base::result<minisign_secret> parse_minisign_secret(std::string_view text);
// NAME of "file:NAME" in a trusted comment, as minisign and hasup write it; "" where it says something else.
std::string minisign_file_name(std::string_view trusted_comment);
// Why an archive called `name` is not the one that the comment is about: an older one, well signed, must not pass
// under a newer one's name. "" = it is, or nothing says so: a name without a number, such as latest.tar.zst, is one
// that many have in turn.
std::string minisign_name_problem(std::string_view trusted_comment, std::string_view name);
// As minisign shows it: 16 hex digits.
std::string minisign_key_name(std::string_view id);

}  // namespace hasup::model
