// What stands beside an archive: checksums, signatures, texts called "latest", and header fields.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "expect.hpp"
#include "model/minisign.hpp"
#include "snapshot/listing.hpp"
#include "snapshot/pointer.hpp"

using namespace hasup;
using namespace hasup::snapshot;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  for (const bool single : {true, false})
    if (const auto digest = find_digest(text, "snap.tar.zst", single)) {
      EXPECT(digest->size() == 64);
      EXPECT(parse_digest(*digest) == digest);
    }
  if (const auto signature = model::parse_minisign_signature(text)) {
    EXPECT(signature->key_id.size() == 8);
    EXPECT(signature->signature.size() == 64);
    EXPECT(signature->global.size() == 64);
  }
  if (const auto key = model::parse_minisign_key(text)) {
    EXPECT(key->id.size() == 8);
    EXPECT(key->key.size() == 32);
  }
  if (const auto url = pointed_url(text, "https://host/dir/latest")) EXPECT(url->starts_with("http"));
  EXPECT(disposition_name(text).find('/') == std::string::npos);
  static_cast<void>(parse_http_time(text));
  static_cast<void>(without_password(text));
  EXPECT(percent_decode(percent_encode(text)) == text);
  return 0;
}
