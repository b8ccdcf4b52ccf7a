// Bytes of a backup host, by HTTP, HTTPS, S3 (HTTPS with signed requests) or SFTP, or of a directory of this machine
// (local_reader.hpp): small texts, what a file is now, and downloads that can begin in the middle. One connection is
// kept where the host allows; HTTP redirects are followed. Header lines, client certificate and keys of a source are
// for its own host alone (own_host.hpp).
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "model/source.hpp"
#include "snapshot/job_control.hpp"
#include "snapshot/outcome.hpp"

namespace hasup::snapshot {

// How long to bear with a host.
struct patience {
  unsigned attempts = 6;  // in a row without a byte of progress
  // Without a byte, all attempts together; also of a file that comes at less than the lowest rate (origin.hpp), and,
  // with bytes or without, of all that a source is asked for before a file is fetched (asked_together).
  std::chrono::milliseconds longest{120'000};
  std::chrono::milliseconds first_delay{500};
  std::chrono::milliseconds max_delay{15'000};
  long connect_timeout_s = 10;
  long stall_bytes_per_s = 1024;     // less than this …
  long stall_s = 30;                 // … for so long is a stall
  std::uint64_t lowest_rate = 4096;  // bytes per second of a file, over all connections
};

// What the source itself says about it, where it does: then the time decides, not the number of attempts.
patience patience_for(const model::source& source, patience otherwise);

// In HTTP's words. An SFTP host's is put into them: 200, 206, 403, 404 and 416, and as ETag the size and time.
struct remote_answer {
  long status = 0;
  std::string url;  // after redirects
  std::string etag, last_modified, content_type, content_range, content_disposition;
  std::optional<std::uint64_t> length;  // Content-Length
  bool accepts_ranges = false;
  std::optional<std::uint64_t> retry_after_s;
  std::optional<base::wall_time> time;  // SFTP's and a local file's, where HTTP has last_modified
  std::string reason;                   // of a status that is an error, where the host says more than its number
};

class curl_transfer;
class remote_client;

// The attempts at one thing, as the patience of a host allows them: so many, and none that begins after its time.
class attempts {
 public:
  using clock = std::chrono::steady_clock;

  explicit attempts(const remote_client& host);
  attempts(const remote_client& host, std::chrono::milliseconds longest);
  // Waits before all but the first, which there is always; false = no more, or the job is cancelled.
  [[nodiscard]] bool next();
  // The last one brought something: the patience begins anew.
  void progressed();
  // The last one took so long because it sent something, though in vain: that is not counted.
  void not_counted(clock::duration sent) { until_ += sent; }
  [[nodiscard]] clock::time_point until() const { return until_; }

 private:
  const remote_client& host_;
  std::chrono::milliseconds longest_;
  clock::time_point until_;
  unsigned made_ = 0;
};

class remote_client {
 public:
  // `access` says how to get in; its URL counts only for its scheme, s3: or not.
  explicit remote_client(const job_control& control, patience p = patience{}, model::source access = {});
  ~remote_client();
  remote_client(const remote_client&) = delete;
  remote_client& operator=(const remote_client&) = delete;

  // Any status is an answer; no answer at all is `unreachable`. 5xx but 501, 408, 429 and broken connections are
  // tried again; a refused key, an unknown host key or a certificate that does not fit are not. A URL of SFTP that
  // ends in "/" gives the directory's lines as `ls -l` prints them.
  outcome<remote_answer> get(const std::string& url, std::string& body, std::size_t limit = 16U << 20);
  outcome<remote_answer> head(const std::string& url);
  // What is there, also of a host that knows no HEAD, and of an address that was signed for a GET: that lets in to
  // nothing else.
  outcome<remote_answer> look_at(const std::string& url);
  // The same as get, but leaves a long text after its first `limit` bytes, with more than `limit` in `body`.
  outcome<remote_answer> peek(const std::string& url, std::string& body, std::size_t limit);

  // From byte `first` to before `end`, or to the end of the file: of the version that `validator` names, where it
  // names one; a host whose file is another one by now sends it whole (HTTP) or with another validator (SFTP).
  struct range {
    std::uint64_t first = 0;
    std::optional<std::uint64_t> end;
    std::string validator;
  };
  struct download {
    // Called once before the first byte, with the final answer. False ends the transfer without an error.
    std::function<bool(const remote_answer&)> begin;
    // True: no more bytes for now; a transfer_set's go_on() asks again. Optional.
    std::function<bool()> hold{};
    // False ends the transfer; the caller knows why.
    std::function<bool(const char*, std::size_t)> data;
  };
  struct download_end {
    remote_answer answer;
    bool began = false;
    bool whole = false;          // the host said that this was all
    bool permanent = false;      // another attempt would end in the same way
    bool refused = false;        // SFTP: a command failed; a host that goes away meanwhile may look the same
    std::string error;           // why not
    std::uint64_t uploaded = 0;  // bytes, whether or not the host kept them
  };
  // One attempt, to be given to a transfer_set. Of SFTP's ranges `end` is not told to the host.
  outcome<std::unique_ptr<curl_transfer>> open(const std::string& url, const std::optional<range>& part, download to);

  // A request with a body, over HTTP; one attempt, which is over at `until` (of a POST somewhat later). `headers` are
  // lines; of a store its x-amz-content-sha256 is one.
  struct upload {
    std::string method;  // PUT, POST, DELETE
    std::string_view bytes;
    std::vector<std::string> headers;
  };
  outcome<download_end> send(const std::string& url, const upload& what, std::string& answer,
                             attempts::clock::time_point until);
  // When sending so many bytes from now on has to be over, all attempts together: after its patience, and what they
  // take at the lowest rate. A host that takes less than that is left, however often it takes a little.
  [[nodiscard]] attempts::clock::time_point end_of_sending(std::uint64_t bytes) const;

  [[nodiscard]] std::chrono::milliseconds pause_before(unsigned attempt) const;  // from 1
  [[nodiscard]] bool pause(std::chrono::milliseconds time) const;                // false: cancelled meanwhile
  // What is left of one patience for all further get(), head() and peek(); nothing = each has its own.
  void set_time_left(std::optional<std::chrono::milliseconds> all) { left_ = all; }
  [[nodiscard]] std::optional<std::chrono::milliseconds> time_left() const { return left_; }
  [[nodiscard]] const patience& limits() const { return patience_; }
  [[nodiscard]] const job_control& control() const { return control_; }
  [[nodiscard]] const model::source& access() const { return access_; }

 private:
  struct handle;
  enum class reading { head, whole, beginning };
  outcome<remote_answer> within_time(const std::string& url, reading how, std::string& body, std::size_t limit);
  outcome<remote_answer> with_retries(const std::string& url, reading how, std::string& body, std::size_t limit);
  outcome<std::unique_ptr<curl_transfer>> prepared(std::shared_ptr<void> curl, const std::string& url,
                                                   const std::optional<range>& part, download to, const char* accept);
  outcome<void> prepare_web(curl_transfer& t, const std::string& url, const std::optional<range>& part,
                            const char* accept);
  outcome<void> prepare_local(curl_transfer& t, const std::string& path, const std::optional<range>& part,
                              const char* accept);
  outcome<void> prepare_http(curl_transfer& t, const std::string& url, const std::optional<range>& part,
                             const char* accept, const upload* what = nullptr);

  const job_control& control_;
  patience patience_;
  model::source access_;
  std::optional<std::chrono::milliseconds> left_;
  std::unique_ptr<handle> handle_;
};

// While one of these lives, all that a host is asked for costs one patience together, not one each.
class asked_together {
 public:
  explicit asked_together(remote_client& host) : host_(host), outermost_(!host.time_left()) {
    if (outermost_) host_.set_time_left(host_.limits().longest);
  }
  asked_together(const asked_together&) = delete;
  asked_together& operator=(const asked_together&) = delete;
  ~asked_together() {
    if (outermost_) host_.set_time_left(std::nullopt);
  }

 private:
  remote_client& host_;
  bool outermost_;
};

inline constexpr long most_redirects = 5;
bool is_passing(long status);  // a status that may be gone with the next attempt

}  // namespace hasup::snapshot
