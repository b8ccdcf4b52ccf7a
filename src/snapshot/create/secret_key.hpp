// Signs as minisign does: prehashed, with the secret key that `minisign -G` wrote, encrypted or (-W) not.
// https://jedisct1.github.io/minisign/#secret-key-format
#pragma once

#include <string>
#include <string_view>

#include "model/minisign.hpp"
#include "snapshot/outcome.hpp"

namespace hasup::snapshot {

class signing_key {
 public:
  // Both are files; `password_file` "-" is standard input, "" none. What is wrong is `refused`, and says what to do.
  static outcome<signing_key> read(const std::string& key_file, const std::string& password_file);
  // The text of a key file, with its password.
  static outcome<signing_key> open(const model::minisign_secret& key, std::string_view password);
  signing_key(signing_key&&) noexcept = default;
  signing_key& operator=(signing_key&&) noexcept = default;
  ~signing_key();

  // The text of NAME.minisig for a file with this BLAKE2b-512, in hex.
  [[nodiscard]] std::string sign(const std::string& blake2b, const std::string& trusted_comment) const;

 private:
  signing_key() = default;
  std::string id_;
  std::string seed_;
};

}  // namespace hasup::snapshot
