#include "snapshot/fetch/digester.hpp"

#include <openssl/evp.h>

#include <array>
#include <stdexcept>

namespace hasup::snapshot {
namespace {

const EVP_MD* method_of(digest_kind kind) {
  switch (kind) {
    case digest_kind::sha256:
      return EVP_sha256();
    case digest_kind::sha512:
      return EVP_sha512();
    case digest_kind::blake2b:
      return EVP_blake2b512();
    case digest_kind::md5:
      return EVP_md5();
  }
  return EVP_sha256();
}

}  // namespace

struct digester::context {
  const digest_kind kind;
  EVP_MD_CTX* evp = EVP_MD_CTX_new();
  explicit context(digest_kind k) : kind(k) { begin(); }
  context(const context&) = delete;
  context& operator=(const context&) = delete;
  ~context() { EVP_MD_CTX_free(evp); }
  void begin() const {
    if (evp == nullptr || EVP_DigestInit_ex(evp, method_of(kind), nullptr) != 1)
      throw std::runtime_error("libcrypto gives no " + std::string(digest_kind_names.text(kind)) +
                               "; a FIPS mode may forbid it: publish sha256 checksums");
  }
};

digester::digester(digest_kind kind) : context_(std::make_unique<context>(kind)) {}
digester::~digester() = default;
digester::digester(digester&&) noexcept = default;
digester& digester::operator=(digester&&) noexcept = default;

void digester::add(const void* data, std::size_t size) {
  if (EVP_DigestUpdate(context_->evp, data, size) != 1) throw std::runtime_error("libcrypto cannot hash");
}

std::string digester::take() {
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned size = 0;
  if (EVP_DigestFinal_ex(context_->evp, digest.data(), &size) != 1) throw std::runtime_error("libcrypto cannot hash");
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
