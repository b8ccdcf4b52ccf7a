#include "snapshot/create/secret_key.hpp"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <memory>
#include <stdexcept>

#include "base/base64.hpp"
#include "base/small_file.hpp"

namespace hasup::snapshot {
namespace {

constexpr std::size_t seed_bytes = 32;
constexpr std::size_t public_bytes = 32;
constexpr std::size_t signature_bytes = 64;
constexpr std::size_t most_password = 1024;
constexpr std::uint64_t most_memory = std::uint64_t{4} << 30U;

using pkey = std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)>;

unsigned char* bytes_of(std::string& text) {
  return reinterpret_cast<unsigned char*>(text.data());
}
const unsigned char* bytes_of(const std::string& text) {
  return reinterpret_cast<const unsigned char*>(text.data());
}

pkey key_of(const std::string& seed) {
  pkey key(EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, nullptr, bytes_of(seed), seed.size()), &EVP_PKEY_free);
  if (!key) throw std::runtime_error("libcrypto gives no Ed25519; a FIPS mode may forbid it");
  return key;
}

std::string public_of(const std::string& seed) {
  std::string out(public_bytes, '\0');
  auto size = out.size();
  if (EVP_PKEY_get_raw_public_key(key_of(seed).get(), bytes_of(out), &size) != 1)
    throw std::runtime_error("libcrypto gives no public key");
  return out;
}

std::string signature_of(const std::string& seed, const std::string& text) {
  const auto key = key_of(seed);
  const std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context(EVP_MD_CTX_new(), &EVP_MD_CTX_free);
  std::string out(signature_bytes, '\0');
  auto size = out.size();
  if (!context || EVP_DigestSignInit(context.get(), nullptr, nullptr, nullptr, key.get()) != 1 ||
      EVP_DigestSign(context.get(), bytes_of(out), &size, bytes_of(text), text.size()) != 1)
    throw std::runtime_error("libcrypto cannot sign");
  return out;
}

std::string from_hex(const std::string& hex) {
  std::string out;
  for (std::size_t i = 0; i + 1 < hex.size(); i += 2)
    out += static_cast<char>(std::stoi(hex.substr(i, 2), nullptr, 16));
  return out;
}

struct scrypt_cost {
  std::uint64_t n = 0;
  std::uint64_t r = 8;
  std::uint64_t p = 1;
};

// libsodium's pickparams of crypto_pwhash_scryptsalsa208sha256, which minisign's limits are for.
scrypt_cost cost_of(std::uint64_t operations, std::uint64_t memory) {
  scrypt_cost c;
  operations = std::max<std::uint64_t>(operations, 32768);
  const auto power = [](std::uint64_t most) {
    unsigned log = 1;
    while (log < 63 && (std::uint64_t{1} << log) <= most / 2) ++log;
    return log;
  };
  if (operations < memory / 32) {
    c.n = std::uint64_t{1} << power(operations / (c.r * 4));
    return c;
  }
  const auto log = power(memory / (c.r * 128));
  c.n = std::uint64_t{1} << log;
  c.p = std::min<std::uint64_t>((operations / 4) >> log, 0x3fffffff) / c.r;
  return c;
}

outcome<std::string> key_stream(const model::minisign_secret& key, std::string_view password) {
  const auto cost = cost_of(key.operations, key.memory);
  std::string out(key.sealed.size(), '\0');
  // What a wrong number would ask for is not given.
  if (key.memory > most_memory || cost.p == 0 ||
      EVP_PBE_scrypt(password.data(), password.size(), bytes_of(key.salt), key.salt.size(), cost.n, cost.r, cost.p,
                     key.memory + (std::uint64_t{64} << 20U), bytes_of(out), out.size()) != 1)
    return refusal("the secret key cannot be decrypted: it wants " + base::format_byte_size(key.memory) +
                   " of memory; minisign -W makes one without a password");
  return out;
}

outcome<std::string> read_password(const std::string& file) {
  std::string text;
  if (file == "-") {
    std::string block(most_password, '\0');
    while (text.size() <= most_password) {
      const auto n = ::read(STDIN_FILENO, block.data(), block.size());
      if (n < 0 && errno == EINTR) continue;
      if (n <= 0) break;
      text.append(block.data(), static_cast<std::size_t>(n));
    }
    OPENSSL_cleanse(block.data(), block.size());
  } else if (!file.empty()) {
    auto read = base::read_small_file(file, most_password);
    if (!read) return refusal("the password: " + read.error().message);
    text = std::move(*read);
  }
  text.resize(std::min(text.size(), text.find_first_of("\r\n")));
  return {boost::system::in_place_value, std::move(text)};
}

}  // namespace

signing_key::~signing_key() {
  OPENSSL_cleanse(seed_.data(), seed_.size());
}

outcome<signing_key> signing_key::read(const std::string& key_file, const std::string& password_file) {
  auto text = base::read_small_file(key_file, 64U << 10);
  if (!text) return refusal("the signing key: " + text.error().message);
  auto parsed = model::parse_minisign_secret(*text);
  OPENSSL_cleanse(text->data(), text->size());
  if (!parsed) return refusal(key_file + ": " + parsed.error().message);
  auto password = read_password(password_file);
  if (!password) return password.error();
  auto out = open(*parsed, *password);
  OPENSSL_cleanse(password->data(), password->size());
  if (!out) return refusal(key_file + ": " + out.error().message);
  return out;
}

outcome<signing_key> signing_key::open(const model::minisign_secret& key, std::string_view password) {
  auto plain = key.sealed;  // id, seed, public key, checksum
  if (key.encrypted) {
    if (password.empty()) return refusal("it has a password; say where it is with --password-file");
    auto stream = key_stream(key, password);
    if (!stream) return stream.error();
    for (std::size_t i = 0; i < plain.size(); ++i) plain[i] = static_cast<char>(plain[i] ^ (*stream)[i]);
    OPENSSL_cleanse(stream->data(), stream->size());
  }
  signing_key out;
  out.id_ = plain.substr(0, model::minisign_id_bytes);
  out.seed_ = plain.substr(out.id_.size(), seed_bytes);
  const auto announced = plain.substr(out.id_.size() + seed_bytes, public_bytes);
  OPENSSL_cleanse(plain.data(), plain.size());
  // The key itself says whether it was decrypted rightly: its second half follows from the first.
  if (public_of(out.seed_) != announced)
    return refusal(key.encrypted ? "the password is wrong" : "the secret key is damaged");
  return out;
}

std::string signing_key::sign(const std::string& blake2b, const std::string& trusted_comment) const {
  const auto signature = signature_of(seed_, from_hex(blake2b));
  const auto global = signature_of(seed_, signature + trusted_comment);
  return "untrusted comment: signature from hasup, key " + model::minisign_key_name(id_) + "\n" +
         base::base64_encode("ED" + id_ + signature) + "\ntrusted comment: " + trusted_comment + "\n" +
         base::base64_encode(global) + "\n";
}

}  // namespace hasup::snapshot
