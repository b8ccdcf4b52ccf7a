// One place that has snapshots, and how to get in. No secret stands in it: only where secrets are.
#pragma once

#include <string>
#include <utility>

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

  // How long it may bring no byte, further attempts included, before the next source is asked; 0 = a few attempts,
  // and at most two minutes.
  base::duration patience{0};

  // https
  std::string ca_file;             // the system's
  std::string client_certificate;  // none
  std::string client_key;          // in client_certificate
  std::string header_file;         // lines "Name: value", sent with each request; none
  std::string proxy;               // http, https: the environment's http_proxy, https_proxy

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

}  // namespace hasup::model
