// Where a bucket is, and which keys open it.
#include "snapshot/fetch/s3_access.hpp"

#include <catch2/catch.hpp>

using namespace hasup;

TEST_CASE("a bucket's address: Amazon's own, with a dot in its name, and another store's", "[s3]") {
  model::source s("s3://snaps/leap/daily/");
  CHECK(snapshot::place_of(s).base == "https://snaps.s3.us-east-1.amazonaws.com/");
  CHECK(snapshot::place_of(s).prefix == "leap/daily/");
  s.url = "s3://snaps/leap/daily";  // where create puts them too
  CHECK(snapshot::place_of(s).prefix == "leap/daily/");
  s.region = "eu-central-1";
  CHECK(snapshot::place_of(s).base == "https://snaps.s3.eu-central-1.amazonaws.com/");
  s.url = "s3://my.snaps";
  CHECK(snapshot::place_of(s).base == "https://s3.eu-central-1.amazonaws.com/my.snaps/");
  CHECK(snapshot::place_of(s).prefix.empty());
  s.endpoint = "http://minio:9000//";
  s.url = "s3://snaps/a%20b/";
  CHECK(snapshot::place_of(s).base == "http://minio:9000/snaps/");
  CHECK(snapshot::place_of(s).prefix == "a b/");
}

TEST_CASE("a query's keys stand in the order that the signature wants", "[s3]") {
  CHECK(snapshot::s3_list_query("a b/", "") == "delimiter=%2F&list-type=2&max-keys=1000&prefix=a%20b%2F");
  CHECK(snapshot::s3_list_query("", "x+/=") ==
        "continuation-token=x%2B%2F%3D&delimiter=%2F&list-type=2&max-keys=1000&prefix=");
}

TEST_CASE("one profile of a credentials file", "[s3]") {
  const std::string text =
      "# comment\n[default]\naws_access_key_id = A\naws_secret_access_key=b/c+d=\r\n\n"
      "[ other ]\naws_access_key_id=O\naws_secret_access_key = p\naws_session_token= "
      "t==\n[half]\naws_access_key_id=H\n";
  CHECK(snapshot::parse_s3_credentials(text, "default") == snapshot::s3_credentials{"A", "b/c+d=", ""});
  CHECK(snapshot::parse_s3_credentials(text, "other") == snapshot::s3_credentials{"O", "p", "t=="});
  CHECK_FALSE(snapshot::parse_s3_credentials(text, "half"));
  CHECK_FALSE(snapshot::parse_s3_credentials(text, "nosuch"));
  CHECK_FALSE(snapshot::parse_s3_credentials("", "default"));
}
