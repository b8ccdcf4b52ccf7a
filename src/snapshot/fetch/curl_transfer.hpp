// One transfer of libcurl: what its callbacks see and collect. For remote_client alone.
#pragma once

#include <curl/curl.h>

#include <memory>
#include <string>

#include "snapshot/fetch/remote_client.hpp"

namespace hasup::snapshot {

struct slist_closer {
  void operator()(curl_slist* l) const { curl_slist_free_all(l); }
};
using header_lines = std::unique_ptr<curl_slist, slist_closer>;
void add_line(header_lines& lines, const std::string& line);

// Lives on the stack of one curl_easy_perform.
class curl_transfer {
 public:
  curl_transfer(CURL* curl, const job_control& control, const remote_client::download& to);

  // Sets what every transfer has: limits, callbacks, nothing that depends on the kind of host.
  void prepare(const std::string& url, const patience& p);
  // SFTP: asks before the first byte for size and time, and whether the host is known.
  void prepare_sftp(const model::source& access, std::uint64_t first);

  // Runs it; `began`, `whole`, `error` as remote_client::download_end has them.
  remote_client::download_end run();

  // After run(): there is less of the file than the byte to begin with.
  [[nodiscard]] bool begins_beyond_end() const { return code_ == CURLE_BAD_DOWNLOAD_RESUME; }

  // For libcurl's C callbacks.
  void header(std::string_view line);
  bool begin();
  bool data(const char* bytes, std::size_t size);
  [[nodiscard]] bool cancelled() const { return control_.cancelled(); }
  int host_key(curl_khmatch match);

 private:
  void fill();
  void fill_sftp();
  std::string reason() const;

  CURL* curl_;
  const job_control& control_;
  const remote_client::download& to_;
  remote_answer answer_;
  bool began_ = false;
  bool refused_ = false;  // begin or data said no
  bool sftp_ = false;
  std::uint64_t first_ = 0;
  std::string who_;  // "user@host": for errors of SFTP
  std::string identity_;
  std::string known_hosts_;
  curl_khmatch key_match_ = CURLKHMATCH_OK;
  CURLcode code_ = CURLE_OK;
  std::string text_;  // libcurl's words for an error
};

}  // namespace hasup::snapshot
