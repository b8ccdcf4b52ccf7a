#include "snapshot/fetch/s3_access.hpp"

#include <cerrno>
#include <cstdlib>

#include "base/small_file.hpp"
#include "base/trimmed.hpp"
#include "snapshot/listing.hpp"

namespace hasup::snapshot {
namespace {

constexpr std::size_t credentials_limit = 1U << 20;

std::string environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? std::string() : std::string(value);
}

}  // namespace

std::optional<s3_credentials> parse_s3_credentials(std::string_view text, std::string_view profile) {
  s3_credentials out;
  bool ours = false;
  while (!text.empty()) {
    const auto end = text.find('\n');
    const auto line = base::trimmed(text.substr(0, end));
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    if (line.empty() || line[0] == '#' || line[0] == ';') continue;
    if (line[0] == '[') {
      ours = line.ends_with(']') && base::trimmed(line.substr(1, line.size() - 2)) == profile;
      continue;
    }
    const auto equals = line.find('=');
    if (!ours || equals == std::string_view::npos) continue;
    const auto key = base::trimmed(line.substr(0, equals));
    const std::string value(base::trimmed(line.substr(equals + 1)));
    if (key == "aws_access_key_id") out.access_key = value;
    if (key == "aws_secret_access_key") out.secret_key = value;
    if (key == "aws_session_token") out.session_token = value;
  }
  if (out.access_key.empty() || out.secret_key.empty()) return std::nullopt;
  return out;
}

std::string named_s3_credentials() {
  auto named = environment("AWS_SHARED_CREDENTIALS_FILE");
  return named.starts_with("~/") ? environment("HOME") + named.substr(1) : named;
}

std::vector<std::string> files_of_access(const model::source& access, const std::string& home) {
  std::vector<std::string> out;
  const auto add = [&out](const std::string& path) {
    if (!path.empty()) out.push_back(path);
  };
  for (const auto* path : {&access.ca_file, &access.client_certificate, &access.client_key, &access.header_file,
                           &access.identity_file, &access.known_hosts, &access.credentials_file})
    add(*path);
  const bool s3 = access.url.starts_with("s3://");
  if (s3) add(named_s3_credentials());
  if (!home.empty() && s3) add(home + "/.aws");
  if (!home.empty() && access.url.starts_with("sftp://")) add(home + "/.ssh");
  return out;
}

outcome<s3_credentials> find_s3_credentials(const model::source& access) {
  if (access.credentials_file.empty() && access.profile.empty()) {
    s3_credentials out{environment("AWS_ACCESS_KEY_ID"), environment("AWS_SECRET_ACCESS_KEY"),
                       environment("AWS_SESSION_TOKEN")};
    if (!out.access_key.empty() && out.secret_key.empty())
      return failure{ports::worker_failure::unreachable,
                     without_password(access.url) +
                         ": AWS_ACCESS_KEY_ID is set, but AWS_SECRET_ACCESS_KEY is not; set both or none"};
    if (!out.access_key.empty()) return out;
  }
  // A file that the source names is not what AWS_PROFILE is about.
  const bool own_file = !access.credentials_file.empty();
  const auto shared = named_s3_credentials();
  const auto home = environment("HOME");
  auto path = own_file ? access.credentials_file : shared;
  if (path.empty() && !home.empty()) path = home + "/.aws/credentials";
  auto profile = !access.profile.empty() || own_file ? access.profile : environment("AWS_PROFILE");
  const bool named = own_file || !profile.empty() || !shared.empty();
  if (profile.empty()) profile = "default";
  auto text = base::read_small_file(path, credentials_limit);
  if (!text && text.error().code == ENOENT && !named) return s3_credentials{};
  if (!text)
    return failure{ports::worker_failure::unreachable, without_password(access.url) +
                                                           ": credentials: " + text.error().message +
                                                           "; the unit's user must be able to read it"};
  if (auto found = parse_s3_credentials(*text, profile)) return std::move(*found);
  return failure{ports::worker_failure::unreachable, without_password(access.url) + ": " + path + " has no [" +
                                                         profile +
                                                         "] with aws_access_key_id and aws_secret_access_key"};
}

std::string region_of(const model::source& access) {
  return access.region.empty() ? std::string("us-east-1") : access.region;
}

s3_place place_of(const model::source& access) {
  const auto slash = access.url.find('/', 5);  // after s3://
  const auto bucket = access.url.substr(5, slash == std::string::npos ? slash : slash - 5);
  s3_place out;
  if (slash != std::string::npos) out.prefix = percent_decode(access.url.substr(slash + 1));
  if (!out.prefix.empty() && !out.prefix.ends_with('/')) out.prefix += '/';  // with and without it is one place
  if (!access.endpoint.empty()) {
    out.base = access.endpoint;
    while (out.base.ends_with('/')) out.base.pop_back();
    out.base += "/" + bucket + "/";
  } else if (bucket.find('.') != std::string::npos) {
    out.base = "https://s3." + region_of(access) + ".amazonaws.com/" + bucket + "/";
  } else {
    out.base = "https://" + bucket + ".s3." + region_of(access) + ".amazonaws.com/";
  }
  return out;
}

std::string s3_list_query(const std::string& prefix, const std::string& continuation) {
  std::string out;
  if (!continuation.empty()) out = "continuation-token=" + percent_encode(continuation) + "&";
  out += "delimiter=%2F&list-type=2&max-keys=1000&prefix=" + percent_encode(prefix);
  return out;
}

}  // namespace hasup::snapshot
