#include "model/source.hpp"

namespace hasup::model {

std::string shown_url(std::string_view url) {
  const auto scheme = url.find("://");
  if (scheme == std::string_view::npos) return std::string(url);
  const auto from = scheme + 3;
  const auto host = url.substr(from, url.find_first_of("/?#", from) - from);
  const auto at = host.rfind('@');
  std::string out(url.substr(0, from));
  url.remove_prefix(at == std::string_view::npos ? from : from + at + 1);
  if (!out.starts_with("http")) return out + std::string(url);
  const auto query = url.find('?');
  return out + std::string(url.substr(0, query)) + (query == std::string_view::npos ? "" : "?…");
}

}  // namespace hasup::model
