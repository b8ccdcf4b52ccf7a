#include "model/health_group.hpp"

#include <algorithm>
#include <charconv>

namespace hasup::model {
namespace {

bool is_ipv4(std::string_view text) {
  for (int part = 0; part < 4; ++part) {
    const auto dot = part < 3 ? text.find('.') : text.size();
    if (dot == std::string_view::npos) return false;
    unsigned n = 0;
    const auto [end, ec] = std::from_chars(text.data(), text.data() + dot, n);
    if (ec != std::errc{} || end != text.data() + dot || n > 255 || dot > 3) return false;
    text.remove_prefix(std::min(dot + 1, text.size()));
  }
  return text.empty();
}

// What else is wrong with it the socket says.
bool looks_like_ipv6(std::string_view text) {
  return text.find(':') != std::string_view::npos &&
         text.find_first_not_of("0123456789abcdefABCDEF:.") == std::string_view::npos;
}

}  // namespace

std::optional<tcp_endpoint> parse_tcp_endpoint(std::string_view text) {
  const auto colon = text.rfind(':');
  if (colon == std::string_view::npos) return std::nullopt;
  auto host = text.substr(0, colon);
  const auto port = text.substr(colon + 1);
  tcp_endpoint out;
  const auto [end, ec] = std::from_chars(port.data(), port.data() + port.size(), out.port);
  if (ec != std::errc{} || end != port.data() + port.size() || out.port == 0) return std::nullopt;
  if (host == "localhost") host = "127.0.0.1";
  const bool bracketed = host.size() > 2 && host.starts_with('[') && host.ends_with(']');
  if (bracketed) host = host.substr(1, host.size() - 2);
  if (bracketed ? !looks_like_ipv6(host) : !is_ipv4(host)) return std::nullopt;
  out.host = host;
  return out;
}

std::string to_text(const tcp_endpoint& e) {
  const bool v6 = e.host.find(':') != std::string::npos;
  return (v6 ? "[" + e.host + "]" : e.host) + ":" + std::to_string(e.port);
}

}  // namespace hasup::model
