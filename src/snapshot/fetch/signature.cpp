#include "snapshot/fetch/signature.hpp"

#include <openssl/evp.h>
#include <sys/mman.h>

#include <cerrno>
#include <memory>
#include <stdexcept>

namespace hasup::snapshot {
namespace {

const unsigned char* bytes_of(const std::string& text) {
  return reinterpret_cast<const unsigned char*>(text.data());
}

bool fits(const model::minisign_key& key, const std::string& signature, const unsigned char* data, std::size_t size) {
  const std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)> pkey(
      EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, nullptr, bytes_of(key.key), key.key.size()), &EVP_PKEY_free);
  const std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context(EVP_MD_CTX_new(), &EVP_MD_CTX_free);
  if (!pkey || !context || EVP_DigestVerifyInit(context.get(), nullptr, nullptr, nullptr, pkey.get()) != 1)
    throw std::runtime_error("libcrypto gives no Ed25519");
  return EVP_DigestVerify(context.get(), bytes_of(signature), signature.size(), data, size) == 1;
}

std::string from_hex(const std::string& hex) {
  std::string out;
  for (std::size_t i = 0; i + 1 < hex.size(); i += 2)
    out += static_cast<char>(std::stoi(hex.substr(i, 2), nullptr, 16));
  return out;
}

}  // namespace

std::optional<std::string> problem_of(const model::minisign_signature& s, const model::minisign_key& key) {
  if (s.key_id != key.id)
    return "it is signed with the key " + model::minisign_key_name(s.key_id) + ", and public_key is " +
           model::minisign_key_name(key.id);
  const auto text = s.signature + s.trusted_comment;
  if (!fits(key, s.global, bytes_of(text), text.size())) return "its trusted comment was altered";
  return std::nullopt;
}

outcome<bool> is_signed(const model::minisign_signature& s, const model::minisign_key& key,
                        const std::string& blake2b, int fd, std::uint64_t size) {
  if (s.prehashed) {
    const auto digest = from_hex(blake2b);
    return fits(key, s.signature, bytes_of(digest), digest.size());
  }
  if (size == 0) return false;
  void* map = ::mmap(nullptr, size, PROT_READ, MAP_SHARED, fd, 0);
  if (map == MAP_FAILED) return system_failure("map the archive to verify its signature", errno);
  (void)::madvise(map, size, MADV_SEQUENTIAL);
  const bool good = fits(key, s.signature, static_cast<const unsigned char*>(map), size);
  ::munmap(map, size);
  return good;
}

}  // namespace hasup::snapshot
