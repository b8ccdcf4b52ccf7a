// One transfer of libcurl: what its callbacks see and collect. For remote_client alone.
#pragma once

#include <curl/curl.h>

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "snapshot/fetch/remote_client.hpp"

namespace hasup::snapshot {

struct slist_closer {
  void operator()(curl_slist* l) const { curl_slist_free_all(l); }
};
using header_lines = std::unique_ptr<curl_slist, slist_closer>;
void add_line(header_lines& lines, const std::string& line);

// Prepared by remote_client, carried out by run() or, several at once, by a transfer_set.
class curl_transfer {
 public:
  // `curl` may be used for the next transfer when this one has ended.
  curl_transfer(std::shared_ptr<CURL> curl, const job_control& control, remote_client::download to);
  curl_transfer(const curl_transfer&) = delete;
  curl_transfer& operator=(const curl_transfer&) = delete;

  // Sets what every transfer has: limits, callbacks, nothing that depends on the kind of host.
  void prepare(const std::string& url, const patience& p);
  // SFTP: asks before the first byte for size and time, and whether the host is known.
  void prepare_sftp(const model::source& access, std::optional<std::uint64_t> first);  // first byte of a range
  // A file of this machine: `reader` is the address of who reads it.
  void prepare_local(const std::string& path, const std::string& reader, const patience& p);
  // HTTP: `proxy` as the source or the environment names it, "" = none; its password is in no error.
  void prepare_proxy(const std::string& proxy);
  // HTTP: a client certificate and its key, which may be in one file; "" = none.
  void prepare_certificate(const std::string& certificate, const std::string& key);
  // HTTP: `again` prepares the request anew for the address to which the host redirects, as prepare() and what
  // follows it did for the first one. libcurl itself would take every header line along to any host.
  void follow_with(std::function<outcome<void>(const std::string& url)> again) { again_ = std::move(again); }
  // A request whose signature holds for one host is not redirected.
  void stay() { stays_ = true; }
  void set_buffer(long bytes);
  // However much it brings until then, redirects included.
  void end_at(std::chrono::steady_clock::time_point until);
  // HTTP: lines for the request's head, which are sent after send_headers().
  void add_header(const std::string& line) { add_line(lines_, line); }
  void send_headers() { curl_easy_setopt(curl(), CURLOPT_HTTPHEADER, lines_.get()); }
  [[nodiscard]] CURL* curl() const { return curl_.get(); }
  // After held() said yes: takes what came meanwhile, unless it is to be held on.
  void go_on();
  [[nodiscard]] bool wants_data() const { return static_cast<bool>(to_.data); }

  // `began`, `whole`, `error` as remote_client::download_end has them.
  remote_client::download_end run();
  // After a request ended with `code`: whether it was redirected, and is prepared to be carried out again.
  [[nodiscard]] bool goes_on(CURLcode code);
  remote_client::download_end ended(CURLcode code);

  // For libcurl's C callbacks.
  void header(std::string_view line);
  bool begin();
  bool held();
  bool data(const char* bytes, std::size_t size);
  [[nodiscard]] bool cancelled() const { return control_.cancelled(); }
  int host_key(const curl_khkey& shown, curl_khmatch match);

 private:
  void fill();
  void fill_sftp();
  std::string reason() const;
  [[nodiscard]] bool redirected() const;

  std::shared_ptr<CURL> curl_;
  header_lines lines_;
  const job_control& control_;
  remote_client::download to_;
  remote_answer answer_;
  bool began_ = false;
  bool held_ = false;
  bool refused_ = false;  // begin or data said no
  std::function<outcome<void>(const std::string&)> again_;
  bool stays_ = false;
  bool has_location_ = false;  // this answer
  unsigned redirects_ = 0;
  std::size_t passed_over_ = 0;  // bytes of a redirect's own page
  std::string not_followed_;     // why
  long buffer_ = 512L << 10;
  std::optional<std::chrono::steady_clock::time_point> until_;
  bool sftp_ = false;
  std::string local_;  // path of a file of this machine
  bool ranged_ = false;
  std::uint64_t first_ = 0;
  std::string proxy_;
  std::string who_;  // "user@host": for errors of SFTP
  std::string identity_;
  std::string known_hosts_;
  std::string client_key_;  // path
  std::string revoked_;     // why the host's key is not taken, whatever else is known of it
  curl_khmatch key_match_ = CURLKHMATCH_OK;
  CURLcode code_ = CURLE_OK;
  std::string text_;  // libcurl's words for an error
};

}  // namespace hasup::snapshot
