// Which addresses are the source's own.
#include "snapshot/fetch/own_host.hpp"

#include <catch2/catch.hpp>

using namespace hasup;
using namespace hasup::snapshot;

TEST_CASE("an address is the source's own when scheme, host and port are", "[own_host]") {
  const model::source s("https://Backup.example/leap/");
  for (const auto* own : {"https://backup.example/", "https://backup.example:443/x", "HTTPS://BACKUP.example/a?b#c"})
    CHECK(is_own(s, own));
  for (const auto* other :
       {"http://backup.example/", "https://backup.example:444/", "https://backup.example.evil/",
        "https://backup.example@evil/", "https://evil/https://backup.example/", "https://sub.backup.example/",
        "https://backup.example:x/", "backup.example", "sftp://backup.example/", "file:///backup.example", ""})
    CHECK_FALSE(is_own(s, other));
  CHECK(is_own(model::source("http://127.0.0.1:8000/"), "http://127.0.0.1:8000/x"));
  CHECK_FALSE(is_own(model::source("http://127.0.0.1:8000/"), "http://127.0.0.1:8001/x"));
  CHECK_FALSE(is_own(model::source("http://127.0.0.1:8000/"), "http://localhost:8000/x"));
  CHECK_FALSE(is_own(model::source("file:///x/"), "file:///x/a"));
}

TEST_CASE("the https of the same host is an http source's own too, on the default ports, and never the reverse",
          "[own_host]") {
  for (const auto* url : {"http://backup.example/leap/", "http://Backup.example:80/leap/"}) {
    const model::source s(url);
    for (const auto* own :
         {"https://backup.example/leap/a", "https://backup.example:443/", "HTTPS://BACKUP.EXAMPLE/"})
      CHECK(is_own(s, own));
    for (const auto* other :
         {"https://backup.example:8443/", "https://www.backup.example/", "https://backup.example.evil/",
          "https://backup.exampl/", "https://backup.example@evil/", "http://backup.example:443/",
          "https://backup.example:80/"})
      CHECK_FALSE(is_own(s, other));
  }
  CHECK_FALSE(is_own(model::source("https://backup.example/"), "http://backup.example/"));
  CHECK_FALSE(is_own(model::source("https://backup.example:80/"), "https://backup.example/"));
  CHECK_FALSE(is_own(model::source("http://backup.example:8000/"), "https://backup.example/"));
  CHECK_FALSE(is_own(model::source("http://backup.example:1080/"), "https://backup.example/"));
  CHECK(is_own(model::source("http://[::1]/"), "https://[::1]/a"));
  model::source store("s3://snaps/leap/");
  store.endpoint = "http://minio";
  CHECK_FALSE(is_own(store, "https://minio/snaps/leap/a"));
}

TEST_CASE("of a store the address of its bucket is its own", "[own_host]") {
  model::source s("s3://snaps/leap/");
  CHECK(is_own(s, "https://snaps.s3.us-east-1.amazonaws.com/leap/a"));
  CHECK_FALSE(is_own(s, "https://other.s3.us-east-1.amazonaws.com/leap/a"));
  s.endpoint = "http://minio:9000";
  CHECK(is_own(s, "http://minio:9000/snaps/leap/a"));
  CHECK_FALSE(is_own(s, "http://cdn:9000/snaps/leap/a"));
}

TEST_CASE("https leads to https, http to both", "[own_host]") {
  const model::source secure("https://a/");
  CHECK(downgrade_problem(secure, "https://b/x").empty());
  CHECK(downgrade_problem(secure, "http://a/x?token=1").find("leads to http://a/x, which") != std::string::npos);
  const model::source open("http://a/");
  CHECK(downgrade_problem(open, "https://b/").empty());
  CHECK(downgrade_problem(open, "http://b/").empty());
}
