#include "snapshot/fetch/sha256.hpp"

#include <openssl/evp.h>

#include <array>
#include <stdexcept>

namespace hasup::snapshot {

struct sha256::context {
  EVP_MD_CTX* evp = EVP_MD_CTX_new();
  context() { begin(); }
  context(const context&) = delete;
  context& operator=(const context&) = delete;
  ~context() { EVP_MD_CTX_free(evp); }
  void begin() const {
    if (evp == nullptr || EVP_DigestInit_ex(evp, EVP_sha256(), nullptr) != 1)
      throw std::runtime_error("libcrypto has no SHA-256");
  }
};

sha256::sha256() : context_(std::make_unique<context>()) {}
sha256::~sha256() = default;
sha256::sha256(sha256&&) noexcept = default;
sha256& sha256::operator=(sha256&&) noexcept = default;

void sha256::add(const void* data, std::size_t size) {
  if (EVP_DigestUpdate(context_->evp, data, size) != 1) throw std::runtime_error("SHA-256 failed");
}

std::string sha256::take() {
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned size = 0;
  if (EVP_DigestFinal_ex(context_->evp, digest.data(), &size) != 1) throw std::runtime_error("SHA-256 failed");
  context_->begin();
  static constexpr std::string_view hex = "0123456789abcdef";
  std::string out;
  for (unsigned i = 0; i < size; ++i) {
    out += hex[digest[i] >> 4U];
    out += hex[digest[i] & 15U];
  }
  return out;
}

}  // namespace hasup::snapshot
