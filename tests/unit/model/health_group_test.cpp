#include "model/health_group.hpp"

#include <catch2/catch.hpp>

using namespace hasup::model;

TEST_CASE("an address to listen on is numeric and has a port") {
  CHECK(parse_tcp_endpoint("127.0.0.1:9770") == tcp_endpoint{"127.0.0.1", 9770});
  CHECK(parse_tcp_endpoint("localhost:1") == tcp_endpoint{"127.0.0.1", 1});
  CHECK(parse_tcp_endpoint("[::1]:65535") == tcp_endpoint{"::1", 65535});
  CHECK(to_text(tcp_endpoint{"::1", 80}) == "[::1]:80");
  CHECK(to_text(tcp_endpoint{"0.0.0.0", 80}) == "0.0.0.0:80");
  for (const auto* bad : {"", ":", ":9770", "9770", "127.0.0.1", "127.0.0.1:", "127.0.0.1:0", "127.0.0.1:65536",
                          "127.0.0.1:80x", "127.0.0:80", "127.0.0.256:80", "1.2.3.4.5:80", "1.2.3.:80", "host:80",
                          "::1:80", "[]:80", "[x]:80", "[127.0.0.1]:80", "0001.2.3.4:80"}) {
    INFO(bad);
    CHECK_FALSE(parse_tcp_endpoint(bad));
  }
}
