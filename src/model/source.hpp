// One place that has snapshots, and how to get in. Keys, passwords and tokens are named by their files. The one
// secret that may stand in it is the password in the URL of a proxy: so a source is written down only where its
// unit's user and the daemon's can read, and `proxy` is never shown.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/duration.hpp"

namespace hasup::model {

// `url` is http(s)://HOST/DIR/, an https URL of one file or of a JSON index, sftp://[USER@]HOST[:PORT]/DIR/,
// s3://BUCKET/PREFIX/ or file:///DIR/. Paths are absolute; "" = the default that stands beside it. The worker reads
// them as the unit's user.
struct source {
  source() = default;
  source(std::string u) : url(std::move(u)) {}  // NOLINT: a URL alone is a source
  source(const char* u) : url(u) {}             // NOLINT

  std::string url;

  // How long it is borne with (snapshot/fetch/remote_client.hpp says in what); 0 = a few attempts, and at most two
  // minutes.
  base::duration patience{0};

  // http, https, s3
  std::string proxy;  // http_proxy, https_proxy, all_proxy of the environment; may have USER:PASSWORD@

  // https; ca_file also s3, header_file also http
  std::string ca_file;             // the system's
  std::string client_certificate;  // none
  std::string client_key;          // in client_certificate
  std::string header_file;         // lines "Name: value", sent to the host of `url` alone; none

  // sftp
  std::string identity_file;  // the agent's keys, then ~/.ssh/id_*
  std::string known_hosts;    // ~/.ssh/known_hosts; a host that is not in it is refused

  // s3
  std::string endpoint;          // https://HOST: path-style addresses; "" = Amazon's of the region
  std::string region;            // "us-east-1"
  std::string credentials_file;  // AWS_ACCESS_KEY_ID … of the environment, then ~/.aws/credentials
  std::string profile;           // "default"

  friend bool operator==(const source&, const source&) = default;
};

// Several sources may have one URL and differ in how to get in: which of them all[index] is, from 0.
inline unsigned nth_of_its_url(const std::vector<source>& all, std::size_t index) {
  unsigned nth = 0;
  for (std::size_t i = 0; i < index; ++i) nth += all[i].url == all[index].url ? 1 : 0;
  return nth;
}

// For messages: without USER:PASSWORD@, and of a web address's query, which may be what lets in (a token, a
// signature), only that there is one.
std::string shown_url(std::string_view url);

// The nth source of that URL; the last one where there are fewer, and the bare URL where there is none (any more).
inline source source_of(const std::vector<source>& all, std::string_view url, unsigned nth) {
  const source* found = nullptr;
  for (const auto& one : all) {
    if (one.url != url) continue;
    found = &one;
    if (nth-- == 0) break;
  }
  return found != nullptr ? *found : source(std::string(url));
}

}  // namespace hasup::model
