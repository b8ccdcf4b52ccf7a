#include "config/source_section.hpp"

#include <algorithm>
#include <array>

#include "config/paths.hpp"

namespace hasup::config {
namespace {

struct option {
  std::string_view key;
  std::string model::source::*field;
  std::string_view schemes;  // separated by blanks
  bool path;
};

constexpr std::array options{
    option{"identity_file", &model::source::identity_file, "sftp", true},
    option{"known_hosts", &model::source::known_hosts, "sftp", true},
    option{"endpoint", &model::source::endpoint, "s3", false},
    option{"region", &model::source::region, "s3", false},
    option{"credentials_file", &model::source::credentials_file, "s3", true},
    option{"profile", &model::source::profile, "s3", false},
    option{"ca_file", &model::source::ca_file, "https s3", true},
    option{"client_certificate", &model::source::client_certificate, "https", true},
    option{"client_key", &model::source::client_key, "https", true},
    option{"header_file", &model::source::header_file, "http https", true},
    option{"proxy", &model::source::proxy, "http https s3", false},
};

bool holds_word(std::string_view words, std::string_view word) {
  while (!words.empty()) {
    const auto end = words.find(' ');
    if (words.substr(0, end) == word) return true;
    words.remove_prefix(end == std::string_view::npos ? words.size() : end + 1);
  }
  return false;
}

std::string_view scheme_of(std::string_view url) {
  const auto end = url.find("://");
  return end == std::string_view::npos ? std::string_view("file") : url.substr(0, end);
}

bool is_web_url(std::string_view url) {
  for (const std::string_view lead : {"http://", "https://"})
    if (url.starts_with(lead)) return url.size() > lead.size() && url[lead.size()] != '/';
  return false;
}

void read_options(const value& table, report& findings, model::source& out) {
  const auto scheme = scheme_of(out.url);
  for (const auto& o : options) {
    const auto* given = table.find(o.key);
    if (given == nullptr || given->broken) continue;
    if (!holds_word(o.schemes, scheme))
      findings.error(given->where, "\"" + std::string(o.key) + "\" is for " +
                                       (o.schemes.find(' ') == std::string_view::npos ? "" : "one of ") +
                                       std::string(o.schemes) + ", not for " + std::string(scheme));
    else if (o.path && !given->text.starts_with('/'))
      findings.error(given->where, "\"" + std::string(o.key) + "\" must be an absolute path");
    else
      out.*o.field = o.path ? normal_path(given->text) : given->text;
  }
  if (const auto* given = table.find("patience"); given != nullptr && !given->broken) {
    const auto time = base::parse_duration(given->text);
    if (!time || *time < std::chrono::seconds(1))
      findings.error(given->where, "\"patience\" is a time of at least 1s, such as \"5m\"");
    else
      out.patience = *time;
  }
  if (!out.endpoint.empty() && !is_web_url(out.endpoint))
    findings.error(table.find("endpoint")->where, "\"endpoint\" is http://HOST[:PORT] or https://HOST[:PORT]");
  if (!out.client_key.empty() && out.client_certificate.empty())
    findings.error(table.find("client_key")->where, "\"client_key\" needs \"client_certificate\"");
}

void read_source(const value& item, report& findings, std::vector<model::source>& out) {
  const value* url = &item;
  if (item.is(value_type::table)) {
    url = item.find("url");
    if (url == nullptr) return findings.error(item.where, "a source needs \"url\"");
  }
  if (url->broken) return;
  if (const auto problem = source_problem(url->text)) return findings.error(url->where, *problem);
  model::source s(url->text.starts_with('/') ? "file://" + url->text : url->text);
  if (item.is(value_type::table)) read_options(item, findings, s);
  out.push_back(std::move(s));
}

}  // namespace

std::optional<std::string> source_problem(std::string_view url) {
  const auto starts = [&](std::string_view lead) { return url.starts_with(lead); };
  if (starts("/") || starts("file:///")) return std::nullopt;
  if (url.find_first_of(" \t\r\n") != std::string_view::npos) return "the URL holds a blank; write %20";
  if (is_web_url(url)) {
    const auto from = url.find("//") + 2;
    if (url.substr(from, url.find('/', from) - from).find('@') == std::string_view::npos) return std::nullopt;
    return "no password in the URL, where everybody sees it: put the line \"Authorization: Basic …\" into a file and "
           "name "
           "that in \"header_file\"";
  }
  if (starts("sftp://")) {
    const auto host = url.substr(7, url.find('/', 7) - 7);
    if (host.empty() || host.ends_with('@') || url.find('/', 7) == std::string_view::npos)
      return "an SFTP source is sftp://USER@HOST/DIR/; DIR from the root, /~/DIR/ from the user's home";
    if (host.find(':') < host.rfind('@') && host.rfind('@') != std::string_view::npos)
      return "no password in the URL, where everybody sees it: SFTP uses keys (\"identity_file\", or the agent)";
    return std::nullopt;
  }
  if (starts("s3://")) {
    const auto bucket = url.substr(5, url.find('/', 5) - 5);
    if (bucket.empty() || bucket.find('@') != std::string_view::npos)
      return "an S3 source is s3://BUCKET/PREFIX/, with \"endpoint\" where the store is not Amazon's";
    return std::nullopt;
  }
  return "a source is https://HOST/DIR/, http://HOST/DIR/, sftp://USER@HOST/DIR/, s3://BUCKET/PREFIX/ or "
         "file:///DIR/";
}

void read_sources(const value& at, report& findings, std::vector<model::source>& out) {
  if (!at.is(value_type::array)) return read_source(at, findings, out);
  for (const auto& item : at.items) read_source(item, findings, out);
}

}  // namespace hasup::config
