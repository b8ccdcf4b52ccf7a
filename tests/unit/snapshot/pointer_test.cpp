// "latest" as a text, and names that hosts give to what they send.
#include "snapshot/pointer.hpp"

#include <catch2/catch.hpp>

using namespace hasup::snapshot;

TEST_CASE("a small text called latest may name a file; pages and archives do not", "[pointer]") {
  CHECK(may_be_pointer("latest", "text/plain", 20));
  CHECK(may_be_pointer("LATEST.txt", "", {}));
  CHECK(may_be_pointer("mainnet-latest", "application/octet-stream", 0));
  CHECK(may_be_pointer("latest_snapshot", "text/plain; charset=utf-8", 4096));
  CHECK_FALSE(may_be_pointer("latest", "text/html", 20));
  CHECK_FALSE(may_be_pointer("latest", "application/json", 20));
  CHECK_FALSE(may_be_pointer("latest", "application/octet-stream", 4097));
  CHECK_FALSE(may_be_pointer("latest.tar.gz", "application/gzip", 20));
  CHECK_FALSE(may_be_pointer("latest.snapshot.v6.tar.zst", "", 20));
  CHECK_FALSE(may_be_pointer("snap-9.bin", "text/plain", 20));
}

TEST_CASE("what such a text names stands beside it, below it or at a URL", "[pointer]") {
  const std::string at = "https://h/leap/latest?x=1";
  CHECK(pointed_url("snap-9.bin\n", at) == "https://h/leap/snap-9.bin");
  CHECK(pointed_url("  ", at) == std::nullopt);
  CHECK(pointed_url("a b.bin  \r\nsecond", at) == "https://h/leap/a%20b.bin");
  CHECK(pointed_url("./2026/snap#9.bin", at) == "https://h/leap/2026/snap%239.bin");
  CHECK(pointed_url("https://cdn/x/s.bin?sig=1", at) == "https://cdn/x/s.bin?sig=1");
  for (const auto* bad : {"", "\n", "../x.bin", "a/../x.bin", "/etc/passwd", "file:///etc/passwd", "<html>", "a//b",
                          "x.bin.part", "x.bin.sha256", "https://h/", "\x01z"})
    CHECK(pointed_url(bad, at) == std::nullopt);
}

TEST_CASE("a name from Content-Disposition has no directories", "[pointer]") {
  CHECK(disposition_name("attachment; filename=\"snap.car.zst\"") == "snap.car.zst");
  CHECK(disposition_name("attachment; filename=snap.car.zst; size=9") == "snap.car.zst");
  CHECK(disposition_name("Attachment; FileName=\"a \\\"b\\\".zst\"") == "a \"b\".zst");
  CHECK(disposition_name("attachment; filename=\"a.zst\"; filename*=UTF-8''%C3%BC.zst") == "ü.zst");
  CHECK(disposition_name("attachment; filename*=utf-8'en'b%20c.zst") == "b c.zst");
  CHECK(disposition_name("attachment; filename=\"../../etc/passwd\"") == "passwd");
  CHECK(disposition_name("attachment; filename*=UTF-8''..%2F..%2Fx") == "x");
  CHECK(disposition_name("inline").empty());
  CHECK(disposition_name("").empty());
}
