#include "snapshot/fetch/curl_transfer.hpp"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <cstring>
#include <new>
#include <utility>

#include "base/trimmed.hpp"
#include "snapshot/fetch/local_server.hpp"
#include "snapshot/fetch/ssh_files.hpp"
#include "snapshot/listing.hpp"
#include "snapshot/listing_text.hpp"

namespace hasup::snapshot {
namespace {

constexpr std::size_t most_of_a_redirect = 1U << 20;

std::size_t on_header(char* data, std::size_t size, std::size_t count, void* user) {
  static_cast<curl_transfer*>(user)->header({data, size * count});
  return size * count;
}

std::size_t on_data(char* data, std::size_t size, std::size_t count, void* user) {
  auto& transfer = *static_cast<curl_transfer*>(user);
  if (transfer.held()) return CURL_WRITEFUNC_PAUSE;
  return transfer.data(data, size * count) ? size * count : CURL_WRITEFUNC_ERROR;
}

int on_progress(void* user, curl_off_t, curl_off_t, curl_off_t, curl_off_t) {
  return static_cast<curl_transfer*>(user)->cancelled() ? 1 : 0;
}

int on_host_key(CURL*, const curl_khkey*, const curl_khkey* shown, curl_khmatch match, void* user) {
  return static_cast<curl_transfer*>(user)->host_key(*shown, match);
}

std::optional<std::uint64_t> whole_number(const std::string& text) {
  std::uint64_t n = 0;
  const auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), n);
  return ec == std::errc{} && end == text.data() + text.size() ? std::optional(n) : std::nullopt;
}

// sftp://user@host:22/dir/ -> user@host:22
std::string authority_of(const std::string& url) {
  const auto from = url.find("://") + 3;
  return url.substr(from, url.find('/', from) - from);
}

std::string home_path(const char* rest) {
  const char* home = std::getenv("HOME");
  return home == nullptr ? std::string() : std::string(home) + rest;
}

bool refused_by_proxy(CURL* curl) {
  long status = 0;
  return curl_easy_getinfo(curl, CURLINFO_HTTP_CONNECTCODE, &status) == CURLE_OK && (status == 407 || status == 401);
}

// libcurl quotes a proxy that it cannot use, with its password.
std::string words_of_proxy(CURL* curl, const std::string& proxy, CURLcode code, std::string why) {
  const auto scheme = proxy.find("://");
  const auto at_sign = proxy.rfind('@');
  const auto shown = at_sign != std::string::npos  ? proxy.substr(at_sign + 1)
                     : scheme != std::string::npos ? proxy.substr(scheme + 3)
                                                   : proxy;
  for (auto at = why.find(proxy); at != std::string::npos; at = why.find(proxy, at + shown.size()))
    why.replace(at, proxy.size(), shown);
  if (refused_by_proxy(curl))
    return "the proxy " + shown + " wants to know who asks (" + why +
           "); write its user and password: proxy = \"http://USER:PASSWORD@HOST:PORT\"";
  const bool reached = code != CURLE_COULDNT_CONNECT && code != CURLE_COULDNT_RESOLVE_PROXY;
  return reached ? why : why + " (by way of the proxy " + shown + ")";
}

// "SECONDS NANOSECONDS"
std::optional<base::wall_time> local_time(const std::string& text) {
  const auto blank = text.find(' ');
  const auto seconds = whole_number(text.substr(0, blank));
  const auto rest = whole_number(text.substr(blank == std::string::npos ? text.size() : blank + 1));
  if (!seconds || !rest) return std::nullopt;
  const auto since = std::chrono::seconds(*seconds) + std::chrono::nanoseconds(*rest);
  return base::wall_time(std::chrono::duration_cast<base::wall_time::duration>(since));
}

// sftp://user@host:22/dir/ -> "ssh-keyscan -p 22 host >> FILE", for a shell.
std::string keyscan_of(const std::string& authority, const std::string& file) {
  auto host = authority.substr(authority.rfind('@') + 1);  // npos + 1 = 0
  std::string port;
  const auto colon = host.rfind(':');
  if (colon != std::string::npos && host.find(']', colon) == std::string::npos) {
    port = host.substr(colon + 1);
    host.resize(colon);
  }
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  const bool plain = file.find_first_of(" \t'\"\\$`&;()<>|*?") == std::string::npos;
  return "ssh-keyscan " + (port.empty() ? "" : "-p " + port + " ") + host + " >> " +
         (plain ? file : "\"" + file + "\"");
}

// Errors that the next attempt meets again.
bool is_permanent(CURLcode code) {
  constexpr std::array codes{CURLE_LOGIN_DENIED,       CURLE_PEER_FAILED_VERIFICATION, CURLE_SSL_CERTPROBLEM,
                             CURLE_SSL_CACERT_BADFILE, CURLE_UNSUPPORTED_PROTOCOL,     CURLE_URL_MALFORMAT};
  return std::find(codes.begin(), codes.end(), code) != codes.end();
}

}  // namespace

void add_line(header_lines& lines, const std::string& line) {
  auto* longer = curl_slist_append(lines.get(), line.c_str());
  if (longer == nullptr) throw std::bad_alloc();
  (void)lines.release();
  lines.reset(longer);
}

curl_transfer::curl_transfer(std::shared_ptr<CURL> curl, const job_control& control, remote_client::download to)
    : curl_(std::move(curl)), control_(control), to_(std::move(to)), text_(CURL_ERROR_SIZE, '\0') {}

void curl_transfer::prepare(const std::string& url, const patience& p) {
  curl_easy_reset(curl());
  lines_.reset();
  stays_ = false;
  curl_easy_setopt(curl(), CURLOPT_URL, url.c_str());
  curl_easy_setopt(curl(), CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(curl(), CURLOPT_CONNECTTIMEOUT, p.connect_timeout_s);
  curl_easy_setopt(curl(), CURLOPT_LOW_SPEED_LIMIT, p.stall_bytes_per_s);
  curl_easy_setopt(curl(), CURLOPT_LOW_SPEED_TIME, p.stall_s);
  curl_easy_setopt(curl(), CURLOPT_BUFFERSIZE, buffer_);
  curl_easy_setopt(curl(), CURLOPT_ERRORBUFFER, text_.data());
  curl_easy_setopt(curl(), CURLOPT_HEADERFUNCTION, &on_header);
  curl_easy_setopt(curl(), CURLOPT_HEADERDATA, this);
  curl_easy_setopt(curl(), CURLOPT_WRITEFUNCTION, &on_data);
  curl_easy_setopt(curl(), CURLOPT_WRITEDATA, this);
  curl_easy_setopt(curl(), CURLOPT_NOPROGRESS, 0L);
  curl_easy_setopt(curl(), CURLOPT_XFERINFOFUNCTION, &on_progress);
  curl_easy_setopt(curl(), CURLOPT_XFERINFODATA, this);
  if (until_) end_at(*until_);
}

void curl_transfer::end_at(std::chrono::steady_clock::time_point until) {
  until_ = until;
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(until - std::chrono::steady_clock::now());
  curl_easy_setopt(curl(), CURLOPT_TIMEOUT_MS, std::max(1L, static_cast<long>(left.count())));
}

void curl_transfer::set_buffer(long bytes) {
  buffer_ = bytes;
  curl_easy_setopt(curl(), CURLOPT_BUFFERSIZE, buffer_);
}

void curl_transfer::prepare_sftp(const model::source& access, std::optional<std::uint64_t> first) {
  sftp_ = true;
  ranged_ = first.has_value();
  first_ = first.value_or(0);
  who_ = authority_of(access.url);
  identity_ = access.identity_file;
  known_hosts_ = access.known_hosts.empty() ? home_path("/.ssh/known_hosts") : access.known_hosts;
  curl_easy_setopt(curl(), CURLOPT_PROTOCOLS_STR, "sftp");
  curl_easy_setopt(curl(), CURLOPT_FILETIME, 1L);
  curl_easy_setopt(curl(), CURLOPT_SSH_KNOWNHOSTS, known_hosts_.c_str());
  curl_easy_setopt(curl(), CURLOPT_SSH_KEYFUNCTION, &on_host_key);
  curl_easy_setopt(curl(), CURLOPT_SSH_KEYDATA, this);
  // A key that is named is the only one: a host that refuses after too many keys must not meet all of the agent's.
  curl_easy_setopt(
      curl(), CURLOPT_SSH_AUTH_TYPES,
      identity_.empty() ? long{CURLSSH_AUTH_AGENT | CURLSSH_AUTH_PUBLICKEY} : long{CURLSSH_AUTH_PUBLICKEY});
  std::string key = identity_;
  for (const char* name : {"/.ssh/id_ed25519", "/.ssh/id_ecdsa", "/.ssh/id_rsa"})
    if (key.empty())
      if (const auto path = home_path(name); ::access(path.c_str(), R_OK) == 0) key = path;
  if (!key.empty()) curl_easy_setopt(curl(), CURLOPT_SSH_PRIVATE_KEYFILE, key.c_str());
  if (first_ > 0) curl_easy_setopt(curl(), CURLOPT_RESUME_FROM_LARGE, static_cast<curl_off_t>(first_));
}

void curl_transfer::prepare_local(const std::string& path, const std::string& reader, const patience& p) {
  local_ = path;
  std::string target;
  for (std::string_view rest = path; !rest.empty();) {
    const auto slash = rest.find('/', 1);
    target += "/" + percent_encode(rest.substr(1, slash == std::string_view::npos ? slash : slash - 1));
    rest = slash == std::string_view::npos ? std::string_view() : rest.substr(slash);
  }
  // The name of the host is of no meaning; no proxy is on the way to it.
  curl_easy_setopt(curl(), CURLOPT_URL, ("http://this-machine" + target).c_str());
  curl_easy_setopt(curl(), CURLOPT_PATH_AS_IS, 1L);
  curl_easy_setopt(curl(), CURLOPT_PROTOCOLS_STR, "http");
  curl_easy_setopt(curl(), CURLOPT_PROXY, "");
  curl_easy_setopt(curl(), CURLOPT_ABSTRACT_UNIX_SOCKET, reader.c_str());
  // The kernel itself goes on with what a mount owes when it is back, so a second attempt would gain nothing.
  curl_easy_setopt(curl(), CURLOPT_LOW_SPEED_TIME,
                   std::max<long>(1, std::chrono::ceil<std::chrono::seconds>(p.longest).count()));
}

void curl_transfer::prepare_proxy(const std::string& proxy) {
  proxy_ = proxy;
  if (!proxy.empty()) curl_easy_setopt(curl(), CURLOPT_PROXY, proxy.c_str());
}

void curl_transfer::prepare_certificate(const std::string& certificate, const std::string& key) {
  client_key_ = key.empty() ? certificate : key;
  if (!certificate.empty()) curl_easy_setopt(curl(), CURLOPT_SSLCERT, certificate.c_str());
  if (!key.empty()) curl_easy_setopt(curl(), CURLOPT_SSLKEY, key.c_str());
  curl_easy_setopt(curl(), CURLOPT_KEYPASSWD, "");  // or OpenSSL asks for it where there is a terminal
}

int curl_transfer::host_key(const curl_khkey& shown, curl_khmatch match) {
  key_match_ = match;
  // libssh2 knows nothing of marks: a plain line for a key that is revoked is one to it.
  const std::string_view key(shown.key, shown.len > 0 ? shown.len : std::strlen(shown.key));
  revoked_ = revoked_key_problem(known_hosts_, key, shown.len == 0);
  if (!revoked_.empty()) return CURLKHSTAT_REJECT;
  return match == CURLKHMATCH_OK ? CURLKHSTAT_FINE : CURLKHSTAT_REJECT;
}

void curl_transfer::header(std::string_view line) {
  if (line.starts_with("HTTP/")) {  // of the next answer
    answer_ = {};
    has_location_ = false;
  }
  const auto colon = line.find(':');
  if (colon == std::string_view::npos) return;
  const auto name = lower(line.substr(0, colon));
  const std::string value(base::trimmed(line.substr(colon + 1)));
  if (name == "location") has_location_ = true;
  if (name == "etag") answer_.etag = value;
  if (name == "last-modified") answer_.last_modified = value;
  if (name == "content-type") answer_.content_type = lower(value);
  if (name == "content-range") answer_.content_range = value;
  if (name == "content-disposition") answer_.content_disposition = value;
  if (name == "accept-ranges") answer_.accepts_ranges = lower(value) == "bytes";
  if (name == "content-length") answer_.length = whole_number(value);
  if (name == "retry-after") answer_.retry_after_s = whole_number(value);
  if (local_.empty()) return;
  if (name == local_reason_header) answer_.reason = percent_decode(value);
  if (name == local_time_header) answer_.time = local_time(value);
}

void curl_transfer::fill() {
  if (sftp_) return fill_sftp();
  curl_easy_getinfo(curl(), CURLINFO_RESPONSE_CODE, &answer_.status);
  char* url = nullptr;
  if (curl_easy_getinfo(curl(), CURLINFO_EFFECTIVE_URL, &url) == CURLE_OK && url != nullptr) answer_.url = url;
  if (!local_.empty()) answer_.url = "file://" + local_;
}

void curl_transfer::fill_sftp() {
  answer_ = {};
  char* url = nullptr;
  if (curl_easy_getinfo(curl(), CURLINFO_EFFECTIVE_URL, &url) == CURLE_OK && url != nullptr) answer_.url = url;
  answer_.status = ranged_ ? 206 : 200;
  curl_off_t left = -1;
  curl_off_t time = -1;
  curl_easy_getinfo(curl(), CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &left);
  curl_easy_getinfo(curl(), CURLINFO_FILETIME_T, &time);
  if (left < 0) return;  // a directory
  answer_.length = static_cast<std::uint64_t>(left);
  const auto total = first_ + *answer_.length;
  if (time >= 0) {
    answer_.time = base::wall_time(std::chrono::seconds(time));
    answer_.etag = "\"" + std::to_string(total) + "-" + std::to_string(time) + "\"";
  }
  if (!ranged_) return;
  const auto whole = std::to_string(total);
  answer_.content_range = total == first_
                              ? "bytes */" + whole
                              : "bytes " + std::to_string(first_) + "-" + std::to_string(total - 1) + "/" + whole;
  if (total == first_) answer_.status = 416;
}

bool curl_transfer::begin() {
  if (began_) return !refused_;
  began_ = true;
  fill();
  refused_ = to_.begin && !to_.begin(answer_);
  return !refused_;
}

bool curl_transfer::held() {
  held_ = to_.hold && to_.hold();
  return held_;
}

void curl_transfer::go_on() {
  if (std::exchange(held_, false)) curl_easy_pause(curl(), CURLPAUSE_CONT);
}

bool curl_transfer::redirected() const {
  if (!again_ || stays_ || !has_location_) return false;
  long status = 0;
  curl_easy_getinfo(curl(), CURLINFO_RESPONSE_CODE, &status);
  return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

bool curl_transfer::goes_on(CURLcode code) {
  if (code != CURLE_OK || !redirected()) return false;
  char* named = nullptr;
  if (curl_easy_getinfo(curl(), CURLINFO_REDIRECT_URL, &named) != CURLE_OK || named == nullptr) {
    not_followed_ = "the host redirects to an address that is none";
    return false;
  }
  if (redirects_++ == most_redirects) {
    not_followed_ = "the host redirects in a circle, or more than " + std::to_string(most_redirects) +
                    " times; write the address to which it leads in the end";
    return false;
  }
  const std::string url = named;  // preparing forgets it
  passed_over_ = 0;
  if (auto ready = again_(url); !ready) not_followed_ = ready.error().message;
  return not_followed_.empty();
}

bool curl_transfer::data(const char* bytes, std::size_t size) {
  if (redirected()) return (passed_over_ += size) <= most_of_a_redirect;
  if (!begin()) return false;
  // A file that is looked at only is left after its first bytes: SFTP has no HEAD.
  if (!to_.data || !to_.data(bytes, size)) refused_ = true;
  return !refused_;
}

std::string curl_transfer::reason() const {
  std::string why = text_.c_str();
  if (why.empty()) why = curl_easy_strerror(code_);
  if (!proxy_.empty()) why = words_of_proxy(curl(), proxy_, code_, std::move(why));
  if (code_ == CURLE_OPERATION_TIMEDOUT && !local_.empty())
    return "reading " + local_ + " brings nothing: the mount seems to hang; see to its host, or unmount it";
  if (code_ == CURLE_SSL_CERTPROBLEM && has_passphrase(client_key_))
    return why +
           "; a key with a passphrase is of no use, as nobody types one here (openssl pkey -in KEY -out NEW writes "
           "one without)";
  if (code_ == CURLE_OPERATION_TIMEDOUT && began_) return "the host stalls: " + why;
  if (!sftp_) return why;
  if (code_ == CURLE_PEER_FAILED_VERIFICATION || code_ == CURLE_LOGIN_DENIED)
    if (const auto problem = known_hosts_problem(known_hosts_); !problem.empty()) return problem;
  if (code_ == CURLE_LOGIN_DENIED && !identity_.empty())
    if (const auto problem = key_file_problem(identity_); !problem.empty()) return problem;
  if (code_ == CURLE_PEER_FAILED_VERIFICATION) {
    if (!revoked_.empty()) return revoked_;
    if (key_match_ == CURLKHMATCH_MISMATCH)
      return "the host shows another key than " + known_hosts_ +
             " has: somebody is in between, or the host was set up anew; compare its fingerprint, then correct the "
             "file";
    if (key_match_ == CURLKHMATCH_MISSING)
      return (::access(known_hosts_.c_str(), F_OK) != 0 && errno == ENOENT
                  ? "the host is not known, as the file " + known_hosts_ + " is not there"
                  : "the host is not in " + known_hosts_) +
             "; add it after comparing the fingerprint: " + keyscan_of(who_, known_hosts_);
  }
  if (code_ == CURLE_LOGIN_DENIED)
    return who_ + " refuses " +
           (identity_.empty() ? "the agent's keys and those in ~/.ssh" : "the key " + identity_) + " (" + why +
           "); RSA keys are refused by hosts that want SHA-2 signatures: use an ed25519 key";
  return why;
}

remote_client::download_end curl_transfer::run() {
  auto code = curl_easy_perform(curl());
  while (goes_on(code)) code = curl_easy_perform(curl());
  return ended(code);
}

remote_client::download_end curl_transfer::ended(CURLcode code) {
  code_ = code;
  remote_client::download_end end;
  curl_off_t uploaded = 0;
  if (curl_easy_getinfo(curl(), CURLINFO_SIZE_UPLOAD_T, &uploaded) == CURLE_OK && uploaded > 0)
    end.uploaded = static_cast<std::uint64_t>(uploaded);
  if (!not_followed_.empty()) {
    fill();
    end.error = not_followed_;
    end.permanent = true;
    end.answer = std::move(answer_);
    return end;
  }
  if (code_ == CURLE_OK)
    (void)begin();  // an answer without a body
  else if (!began_)
    fill();
  end.began = began_;
  end.whole = code_ == CURLE_OK && !refused_;
  if (sftp_ && (code_ == CURLE_REMOTE_FILE_NOT_FOUND || code_ == CURLE_REMOTE_ACCESS_DENIED)) {
    const bool gone = code_ == CURLE_REMOTE_FILE_NOT_FOUND;
    answer_.status = gone ? 404 : 403;
    answer_.reason = gone ? "the file is not there (any more); the host may have deleted it since it was listed"
                          : who_ + " may not read the file; see to its permissions on the host";
    end.whole = true;
  } else if (sftp_ && code_ == CURLE_BAD_DOWNLOAD_RESUME) {
    answer_.status = 416;  // there is less of the file than the byte to begin with
    end.whole = true;
  } else if (code_ != CURLE_OK && !refused_) {
    end.error = reason();
    end.refused = sftp_ && code_ == CURLE_QUOTE_ERROR;
    end.permanent = is_permanent(code_) || (!proxy_.empty() && refused_by_proxy(curl())) ||
                    (code_ == CURLE_OPERATION_TIMEDOUT && !local_.empty());
  }
  end.answer = std::move(answer_);
  return end;
}

}  // namespace hasup::snapshot
