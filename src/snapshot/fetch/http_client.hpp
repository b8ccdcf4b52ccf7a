// HTTP for sources: GET, HEAD and ranged downloads, on one connection where the host allows. Follows redirects.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "snapshot/job_control.hpp"
#include "snapshot/outcome.hpp"

namespace hasup::snapshot {

// How long to bear with a host.
struct patience {
  unsigned attempts = 6;  // in a row without a byte of progress
  std::chrono::milliseconds first_delay{500};
  std::chrono::milliseconds max_delay{15'000};
  long connect_timeout_s = 10;
  long stall_bytes_per_s = 1024;  // less than this …
  long stall_s = 30;              // … for so long is a stall
};

struct http_answer {
  long status = 0;
  std::string url;  // after redirects
  std::string etag, last_modified, content_type, content_range, content_disposition;
  std::optional<std::uint64_t> length;  // Content-Length
};

class http_client {
 public:
  explicit http_client(const job_control& control, patience p = patience{});
  ~http_client();
  http_client(const http_client&) = delete;
  http_client& operator=(const http_client&) = delete;

  // Any status is an answer; no answer at all is `unreachable`. 5xx, 408, 429 and broken connections are tried again.
  outcome<http_answer> get(const std::string& url, std::string& body, std::size_t limit = 16U << 20);
  outcome<http_answer> head(const std::string& url);

  struct download {
    // Called once before the first byte, with the final answer. False ends the transfer without an error.
    std::function<bool(const http_answer&)> begin;
    // False ends the transfer; the caller knows why.
    std::function<bool(const char*, std::size_t)> data;
  };
  struct download_end {
    http_answer answer;
    bool began = false;
    bool whole = false;  // the host said that this was all
    std::string error;   // why not
  };
  // One attempt. `headers` are lines such as "Range: bytes=5-".
  outcome<download_end> fetch(const std::string& url, const std::vector<std::string>& headers, const download& to);

  // Sleeps before attempt n (from 1); false when cancelled meanwhile.
  [[nodiscard]] bool wait_before(unsigned attempt) const;
  [[nodiscard]] const patience& limits() const { return patience_; }
  [[nodiscard]] const job_control& control() const { return control_; }

 private:
  struct handle;
  outcome<http_answer> with_retries(const std::string& url, bool head, std::string& body, std::size_t limit);

  const job_control& control_;
  patience patience_;
  std::unique_ptr<handle> handle_;
};

bool is_passing(long status);  // a status that may be gone with the next attempt

}  // namespace hasup::snapshot
