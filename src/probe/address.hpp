// Where a check connects to, read from its URL or address.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.hpp"

namespace hasup::probe {

struct address {
  bool tls = false;
  std::string unix_path;  // "" = TCP
  std::string host;       // a name or a numeric address, without brackets
  std::uint16_t port = 0;
  std::string target;  // HTTP: path and query, never empty

  // "127.0.0.1:8888", "[::1]:8888", "unix:/run/x.sock": for messages, and for Host where it is TCP.
  [[nodiscard]] std::string place() const;
};

// http://HOST[:PORT]/PATH, https://…, unix:/path.sock:/PATH; with another scheme, such as "ws", that and "wss".
base::result<address> parse_url(std::string_view url, const std::string& scheme = "http");

// HOST:PORT, [V6]:PORT, unix:/path
base::result<address> parse_address(std::string_view text);

}  // namespace hasup::probe
