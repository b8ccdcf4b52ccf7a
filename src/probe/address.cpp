#include "probe/address.hpp"

#include <algorithm>
#include <boost/url/parse.hpp>
#include <boost/url/url_view.hpp>
#include <charconv>

namespace hasup::probe {
namespace {

bool printable(std::string_view text) {
  return std::all_of(text.begin(), text.end(),
                     [](char c) { return static_cast<unsigned char>(c) > 0x20 && c != 0x7F; });
}

// unix:/path.sock[:/target]; the first ":/" after the path ends it.
base::result<address> parse_unix(std::string_view text, bool with_target) {
  address out;
  out.target = "/";
  std::string_view rest = text.substr(5);
  if (with_target) {
    if (const auto end = rest.find(":/"); end != std::string_view::npos) {
      out.target = rest.substr(end + 1);
      rest = rest.substr(0, end);
    }
  }
  out.unix_path = rest;
  if (rest.size() < 2 || rest[0] != '/' || rest.find('\0') != std::string_view::npos || !printable(out.target)) {
    return base::error{"bad address \"" + std::string(text) + "\"; write " +
                       (with_target ? "unix:/path.sock:/target" : "unix:/path.sock")};
  }
  return out;
}

// Of a URL that may hold secrets, without them: the user is left out, and the query.
std::string shown_url(std::string_view url) {
  const auto query = url.find('?');
  std::string out(url.substr(0, query));
  const auto scheme = out.find("://");
  const auto from = scheme == std::string::npos ? 0 : scheme + 3;
  if (const auto at = out.rfind('@'); at != std::string::npos && at >= from) out.replace(from, at - from, "…");
  return out + (query == std::string_view::npos ? "" : "?…");
}

}  // namespace

std::string address::place() const {
  if (!unix_path.empty()) return "unix:" + unix_path;
  const bool v6 = host.find(':') != std::string::npos;
  return (v6 ? "[" + host + "]" : host) + ":" + std::to_string(port);
}

base::result<address> parse_url(std::string_view url, const std::string& wanted) {
  if (url.starts_with("unix:")) return parse_unix(url, true);
  const std::string quoted = "\"" + shown_url(url) + "\"";
  const base::error bad{"bad URL " + quoted + "; write " + wanted + "://HOST:PORT/PATH, " + wanted +
                        "s://… or unix:/path.sock:/PATH"};
  const auto parsed = boost::urls::parse_uri(url);
  if (!parsed) return bad;
  const auto& u = *parsed;
  const std::string_view scheme = u.scheme();
  const bool tls = scheme == wanted + "s";
  if (scheme != wanted && !tls) return bad;
  if (u.has_userinfo()) {
    return base::error{"the URL " + quoted +
                       " holds a user name; put an Authorization line into header_file instead"};
  }
  address out;
  out.tls = tls;
  out.host = std::string(u.host_address());
  if (out.host.empty() || !printable(out.host)) return bad;
  out.port = u.has_port() ? u.port_number() : out.tls ? 443 : 80;
  if (out.port == 0) return bad;
  out.target = std::string(u.encoded_path());
  if (out.target.empty()) out.target = "/";
  if (u.has_query()) out.target += "?" + std::string(u.encoded_query());
  return out;
}

base::result<address> parse_address(std::string_view text) {
  if (text.starts_with("unix:")) return parse_unix(text, false);
  const base::error bad{"bad address \"" + std::string(text) + "\"; write HOST:PORT, [V6]:PORT or unix:/path.sock"};
  const auto colon = text.rfind(':');
  if (colon == std::string_view::npos) return bad;
  std::string_view host = text.substr(0, colon);
  const std::string_view port = text.substr(colon + 1);
  if (host.starts_with('[') && host.ends_with(']')) {
    host = host.substr(1, host.size() - 2);
  } else if (host.find(':') != std::string_view::npos) {
    return bad;
  }
  address out;
  out.host = host;
  const auto [end, ec] = std::from_chars(port.data(), port.data() + port.size(), out.port);
  if (ec != std::errc{} || end != port.data() + port.size() || out.port == 0) return bad;
  if (host.empty() || !printable(host)) return bad;
  return out;
}

}  // namespace hasup::probe
