#include "snapshot/delta/frame.hpp"

#include <openssl/evp.h>
#include <zstd.h>

#include <new>
#include <stdexcept>

namespace hasup::snapshot {

std::size_t frame_bound(std::size_t content) {
  return ZSTD_compressBound(content);
}

void frame_maker::closer::operator()(ZSTD_CCtx_s* context) const {
  ZSTD_freeCCtx(context);
}

frame_maker::frame_maker(int level) : context_(ZSTD_createCCtx()) {
  if (!context_) throw std::bad_alloc();
  ZSTD_CCtx_setParameter(context_.get(), ZSTD_c_compressionLevel, level);
  ZSTD_CCtx_setParameter(context_.get(), ZSTD_c_checksumFlag, 1);
}

frame_maker::~frame_maker() = default;

outcome<std::size_t> frame_maker::make(std::string_view content, char* into, std::size_t room) {
  const auto n = ZSTD_compress2(context_.get(), into, room, content.data(), content.size());
  if (ZSTD_isError(n) != 0U)
    return failure{ports::worker_failure::internal, std::string("compress: ") + ZSTD_getErrorName(n)};
  return n;
}

outcome<std::string> compress_frame(int level, std::string_view content) {
  std::string out(frame_bound(content.size()), '\0');
  auto n = frame_maker(level).make(content, out.data(), out.size());
  if (!n) return n.error();
  out.resize(*n);
  return outcome<std::string>(boost::system::in_place_value, std::move(out));
}

chunk_digest sha256_of(std::string_view bytes) {
  chunk_digest out{};
  unsigned size = 0;
  if (EVP_Digest(bytes.data(), bytes.size(), out.data(), &size, EVP_sha256(), nullptr) != 1 || size != out.size())
    throw std::runtime_error("libcrypto cannot hash");
  return out;
}

chunk chunk_of(std::string_view content, std::string_view frame) {
  return {frame.size(), content.size(), sha256_of(frame), sha256_of(content)};
}

}  // namespace hasup::snapshot
