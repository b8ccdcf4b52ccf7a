// Base64 as keys and signatures are written.
#include "base/base64.hpp"

#include <catch2/catch.hpp>

using hasup::base::base64_decode;
using hasup::base::base64_encode;

TEST_CASE("base64 is read as RFC 4648 writes it", "[base64]") {
  CHECK(base64_decode("") == "");
  CHECK(base64_decode("Zg==") == "f");
  CHECK(base64_decode("Zm8=") == "fo");
  CHECK(base64_decode("Zm9v") == "foo");
  CHECK(base64_decode("Zm9vYmFy") == "foobar");
  CHECK(base64_decode("+/+/") == "\xfb\xff\xbf");
}

TEST_CASE("what is not canonical is no base64", "[base64]") {
  for (const auto* bad : {"Z", "Zg", "Zg=", "Zh==", "Zm9=", "Z===", "====", "Zm 9v", "Zm9v\n", "Zm-_"})
    CHECK(base64_decode(bad) == std::nullopt);
}

TEST_CASE("what is written is read again", "[base64]") {
  CHECK(base64_encode("foobar") == "Zm9vYmFy");
  CHECK(base64_encode("f") == "Zg==");
  std::string bytes;
  for (int i = 0; i < 300; ++i) {
    CHECK(base64_decode(base64_encode(bytes)) == bytes);
    bytes += static_cast<char>(i * 37);
  }
}
