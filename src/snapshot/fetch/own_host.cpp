#include "snapshot/fetch/own_host.hpp"

#include <curl/curl.h>

#include <memory>

#include "snapshot/fetch/s3_access.hpp"
#include "snapshot/listing.hpp"
#include "snapshot/listing_text.hpp"

namespace hasup::snapshot {

std::optional<std::string> web_origin(const std::string& url) {
  const std::unique_ptr<CURLU, decltype(&curl_url_cleanup)> parsed(curl_url(), &curl_url_cleanup);
  if (!parsed || curl_url_set(parsed.get(), CURLUPART_URL, url.c_str(), 0) != CURLUE_OK) return std::nullopt;
  const auto part = [&](CURLUPart which) {
    char* text = nullptr;
    if (curl_url_get(parsed.get(), which, &text, CURLU_DEFAULT_PORT) != CURLUE_OK) return std::string();
    const std::unique_ptr<char, decltype(&curl_free)> owned(text, &curl_free);
    return lower(text);
  };
  const auto scheme = part(CURLUPART_SCHEME);
  const auto host = part(CURLUPART_HOST);
  if ((scheme != "http" && scheme != "https") || host.empty()) return std::nullopt;
  return scheme + "://" + host + ":" + part(CURLUPART_PORT);
}

std::optional<std::string> own_origin(const model::source& source) {
  return web_origin(source.url.starts_with("s3://") ? place_of(source).base : source.url);
}

bool is_own(const model::source& source, const std::string& url) {
  const auto own = own_origin(source);
  const auto named = web_origin(url);
  if (!own || !named) return false;
  if (*own == *named) return true;
  // What a host that has moved to https gets is what it was shown before, but now nobody on the way sees it. Other
  // ports of a host may be anybody's, and a store's requests are signed for the one address.
  constexpr std::string_view open = "http://";
  constexpr std::string_view port = ":80";
  if (source.url.starts_with("s3://") || !own->starts_with(open) || !own->ends_with(port)) return false;
  return *named == "https://" + own->substr(open.size(), own->size() - open.size() - port.size()) + ":443";
}

std::string downgrade_problem(const model::source& source, const std::string& url) {
  const auto own = own_origin(source);
  const auto named = web_origin(url);
  if (!own || !own->starts_with("https:") || !named || !named->starts_with("http:")) return {};
  return "the source is https, but leads to " + without_password(url.substr(0, url.find('?'))) +
         ", which everybody on the way can read and change; let it name an https address, or write the http address "
         "as the source";
}

}  // namespace hasup::snapshot
