#include "snapshot/fetch/remote_client.hpp"

#include <algorithm>
#include <cstdlib>
#include <limits>
#include <random>
#include <thread>

#include "base/small_file.hpp"
#include "snapshot/fetch/curl_transfer.hpp"
#include "snapshot/fetch/local_reader.hpp"
#include "snapshot/fetch/own_host.hpp"
#include "snapshot/fetch/s3_access.hpp"
#include "snapshot/fetch/version_answer.hpp"
#include "snapshot/listing.hpp"

namespace hasup::snapshot {
namespace {

constexpr std::size_t header_file_limit = 64U << 10;
constexpr std::size_t most_answer = 1U << 20;
constexpr long slow_answer_s = 120;  // a store puts the pieces together before it says that it has: after a POST

bool is_sftp(std::string_view url) {
  return url.starts_with("sftp://");
}

// The lines of header_file: secrets stand there, so they are named by their place only.
outcome<void> add_headers_of(const std::string& path, curl_transfer& t) {
  if (path.empty()) return {};
  auto text = base::read_small_file(path, header_file_limit);
  if (!text) return failure{ports::worker_failure::unreachable, "header_file: " + text.error().message};
  std::string_view left = *text;
  while (!left.empty()) {
    const auto end = left.find('\n');
    std::string line(left.substr(0, end));
    left.remove_prefix(end == std::string_view::npos ? left.size() : end + 1);
    while (!line.empty() && (line.back() == '\r' || line.back() == ' ')) line.pop_back();
    if (line.empty() || line[0] == '#') continue;
    if (line.find(':') == std::string::npos)
      return failure{ports::worker_failure::unreachable, path + " holds a line that is no \"Name: value\""};
    t.add_header(line);
  }
  return {};
}

// Where libcurl would look too; it is named in errors. Whom no_proxy excepts is libcurl's to say.
std::string proxy_of_environment(const std::string& url) {
  const bool secure = url.starts_with("https://");
  for (const char* name :
       {secure ? "https_proxy" : "http_proxy", secure ? "HTTPS_PROXY" : "", "all_proxy", "ALL_PROXY"})
    if (const char* value = *name != '\0' ? std::getenv(name) : nullptr; value != nullptr && *value != '\0')
      return value;
  return {};
}

void add_range(curl_transfer& t, const std::optional<remote_client::range>& part) {
  if (!part) return;
  const auto last = part->end ? std::to_string(*part->end - 1) : std::string();
  t.add_header("Range: bytes=" + std::to_string(part->first) + "-" + last);
  if (!part->validator.empty()) t.add_header("If-Range: " + part->validator);
}

void set(CURL* curl, CURLoption option, const std::string& value) {
  if (!value.empty()) curl_easy_setopt(curl, option, value.c_str());
}

}  // namespace

struct remote_client::handle {
  std::shared_ptr<CURL> curl;
  std::optional<s3_credentials> s3;  // read once
  handle() {
    curl_global_init(CURL_GLOBAL_DEFAULT);
    curl = new_handle();
  }
  static std::shared_ptr<CURL> new_handle() { return {curl_easy_init(), &curl_easy_cleanup}; }
};

patience patience_for(const model::source& source, patience otherwise) {
  if (source.patience.count() == 0) return otherwise;
  const auto seconds = std::max<long>(1, std::chrono::ceil<std::chrono::seconds>(source.patience).count());
  otherwise.attempts = std::numeric_limits<unsigned>::max();
  otherwise.longest = source.patience;
  otherwise.connect_timeout_s = std::min(otherwise.connect_timeout_s, seconds);
  otherwise.stall_s =
      std::clamp<long>(seconds / 4, 1, otherwise.stall_s);  // so that there is time for another attempt
  return otherwise;
}

bool is_passing(long status) {
  return (status >= 500 && status != 501) || status == 408 || status == 429;
}

remote_client::remote_client(const job_control& control, patience p, model::source access)
    : control_(control), patience_(p), access_(std::move(access)), handle_(std::make_unique<handle>()) {}
remote_client::~remote_client() = default;

std::chrono::milliseconds remote_client::pause_before(unsigned attempt) const {
  auto delay = patience_.first_delay;
  for (unsigned i = 1; i < attempt && delay < patience_.max_delay; ++i) delay *= 2;
  delay = std::min(delay, patience_.max_delay);
  static thread_local std::minstd_rand random(std::random_device{}());
  return delay + delay * static_cast<int>(random() % 20U) / 100;  // many machines must not come back at once
}

attempts::attempts(const remote_client& host) : attempts(host, host.limits().longest) {}

attempts::attempts(const remote_client& host, std::chrono::milliseconds longest)
    : host_(host), longest_(longest), until_(clock::now() + longest) {}

bool remote_client::pause(std::chrono::milliseconds time) const {
  for (const auto at = attempts::clock::now() + time; attempts::clock::now() < at;) {
    if (control().cancelled()) return false;
    std::this_thread::sleep_for(std::min(limits().max_delay, std::chrono::milliseconds(20)));
  }
  return true;
}

bool attempts::next() {
  if (host_.control().cancelled()) return false;
  if (made_ > 0) {
    const auto& limits = host_.limits();
    const auto time = host_.pause_before(made_);
    if (made_ >= limits.attempts || clock::now() + time >= until_ || !host_.pause(time)) return false;
  }
  ++made_;
  return true;
}

void attempts::progressed() {
  made_ = 1;  // so that there is a pause
  until_ = clock::now() + longest_;
}

outcome<std::unique_ptr<curl_transfer>> remote_client::open(const std::string& url, const std::optional<range>& part,
                                                            download to) {
  return prepared(handle::new_handle(), url, part, std::move(to), "Accept: */*");
}

outcome<std::unique_ptr<curl_transfer>> remote_client::prepared(std::shared_ptr<void> curl, const std::string& url,
                                                                const std::optional<range>& part, download to,
                                                                const char* accept) {
  if (!curl) return failure{ports::worker_failure::internal, "libcurl cannot be initialised"};
  auto t = std::make_unique<curl_transfer>(std::move(curl), control_, std::move(to));
  if (const auto path = file_source_path(url)) {
    if (!file_source_path(access_.url))
      return failure{ports::worker_failure::unreachable,
                     url + " is a file of this machine, which no other host may name"};
    t->prepare(url, patience_);
    if (auto ready = prepare_local(*t, *path, part, accept); !ready) return ready.error();
  } else if (is_sftp(url)) {
    t->prepare(url, patience_);
    t->prepare_sftp(access_, part ? std::optional(part->first) : std::nullopt);
  } else {
    if (auto ready = prepare_web(*t, url, part, accept); !ready) return ready.error();
    t->follow_with([this, &transfer = *t, part, accept](const std::string& next) {
      return prepare_web(transfer, next, part, accept);
    });
  }
  if (!t->wants_data()) curl_easy_setopt(t->curl(), CURLOPT_NOBODY, 1L);
  return t;
}

outcome<void> remote_client::prepare_web(curl_transfer& t, const std::string& url, const std::optional<range>& part,
                                         const char* accept) {
  t.prepare(url, patience_);
  if (!t.wants_data()) curl_easy_setopt(t.curl(), CURLOPT_NOBODY, 1L);
  return prepare_http(t, url, part, accept);
}

outcome<void> remote_client::prepare_http(curl_transfer& t, const std::string& url, const std::optional<range>& part,
                                          const char* accept, const upload* what) {
  CURL* curl = t.curl();
  if (const auto problem = downgrade_problem(access_, url); !problem.empty())
    return failure{ports::worker_failure::unreachable, problem};
  const bool own = is_own(access_, url);
  t.add_header(accept);
  add_range(t, part);
  if (own)
    if (auto added = add_headers_of(access_.header_file, t); !added) return added.error();
  curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(curl, CURLOPT_USERAGENT, "hasup");
  t.prepare_proxy(access_.proxy.empty() ? proxy_of_environment(url) : access_.proxy);
  set(curl, CURLOPT_CAINFO, access_.ca_file);
  if (own) t.prepare_certificate(access_.client_certificate, access_.client_key);
  if (own && access_.url.starts_with("s3://")) {
    if (!handle_->s3) {
      auto found = find_s3_credentials(access_);
      if (!found) return found.error();
      handle_->s3 = std::move(*found);
    }
    if (!handle_->s3->access_key.empty()) {
      curl_easy_setopt(curl, CURLOPT_AWS_SIGV4, ("aws:amz:" + region_of(access_) + ":s3").c_str());
      curl_easy_setopt(curl, CURLOPT_USERNAME, handle_->s3->access_key.c_str());
      curl_easy_setopt(curl, CURLOPT_PASSWORD, handle_->s3->secret_key.c_str());
      if (what == nullptr) t.add_header("x-amz-content-sha256: UNSIGNED-PAYLOAD");
      if (!handle_->s3->session_token.empty()) t.add_header("x-amz-security-token: " + handle_->s3->session_token);
      t.stay();
    }
  }
  if (what != nullptr)
    for (const auto& line : what->headers) t.add_header(line);
  t.send_headers();
  return {};
}

outcome<void> remote_client::prepare_local(curl_transfer& t, const std::string& path,
                                           const std::optional<range>& part, const char* accept) {
  t.add_header(accept);
  add_range(t, part);
  const auto reader = local_reader::address();
  if (!reader) return reader.error();
  t.prepare_local(path, *reader, patience_);
  t.send_headers();
  return {};
}

attempts::clock::time_point remote_client::end_of_sending(std::uint64_t bytes) const {
  return attempts::clock::now() + patience_.longest + std::chrono::milliseconds(bytes * 1000 / patience_.lowest_rate);
}

outcome<remote_client::download_end> remote_client::send(const std::string& url, const upload& what,
                                                         std::string& answer, attempts::clock::time_point until) {
  download to;
  to.data = [&](const char* data, std::size_t size) {
    answer.append(data, size);
    return answer.size() <= most_answer;
  };
  curl_transfer t(handle_->curl, control_, std::move(to));
  t.prepare(url, patience_);
  t.end_at(what.method == "POST" ? until + std::chrono::seconds(slow_answer_s) : until);
  if (auto ready = prepare_http(t, url, std::nullopt, "Accept: */*", &what); !ready) return ready.error();
  CURL* curl = t.curl();
  // A POST with a body of its own kind, whatever the method is called.
  curl_easy_setopt(curl, CURLOPT_POST, 1L);
  curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, what.method.c_str());
  curl_easy_setopt(curl, CURLOPT_POSTFIELDS, what.bytes.empty() ? "" : what.bytes.data());
  curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(what.bytes.size()));
  const auto longest = static_cast<long>(std::chrono::ceil<std::chrono::seconds>(patience_.longest).count());
  const auto answer_within = what.method == "POST" ? slow_answer_s : std::clamp(longest, 1L, slow_answer_s);
  curl_easy_setopt(curl, CURLOPT_LOW_SPEED_TIME, std::max(patience_.stall_s, answer_within));
  // The answer to "Expect: 100-continue" is seldom another one. Left out it would be signed, but not sent.
  curl_easy_setopt(curl, CURLOPT_EXPECT_100_TIMEOUT_MS, 1L);
  return t.run();
}

outcome<remote_answer> remote_client::with_retries(const std::string& url, reading how, std::string& body,
                                                   std::size_t limit) {
  std::string last;
  attempts tries(*this, left_.value_or(patience_.longest));
  while (tries.next()) {
    body.clear();
    download to;
    if (how != reading::head)
      to.data = [&](const char* data, std::size_t size) {
        const bool fits = body.size() + size <= limit;
        body.append(data, fits ? size : limit + 1 - body.size());
        return fits;
      };
    auto transfer = prepared(handle_->curl, url, std::nullopt, std::move(to),
                             "Accept: text/html, application/json;q=0.9, */*;q=0.5");
    if (!transfer) return transfer.error();
    if (left_) (*transfer)->end_at(tries.until());
    const auto end = (*transfer)->run();
    if (control_.cancelled()) return cancelled();
    if (end.error.empty() && !end.whole && how == reading::whole)
      return failure{ports::worker_failure::unreachable,
                     without_password(url) + " is longer than " + base::format_byte_size(limit) + ": not a listing"};
    if (end.error.empty() && !is_passing(end.answer.status)) return end.answer;
    last = end.error.empty() ? status_text(end.answer) : end.error;
    if (end.permanent) break;
  }
  if (control_.cancelled()) return cancelled();
  if (left_ && attempts::clock::now() + std::chrono::milliseconds(50) >= tries.until())  // libcurl counts coarsely
    last = "the patience of " + base::format_duration(patience_.longest) + " is used up: " + last;
  return failure{ports::worker_failure::unreachable, without_password(url) + ": " + last};
}

outcome<remote_answer> remote_client::within_time(const std::string& url, reading how, std::string& body,
                                                  std::size_t limit) {
  if (!left_) return with_retries(url, how, body, limit);
  if (left_->count() <= 0)
    return failure{ports::worker_failure::unreachable, without_password(url) + ": not asked any more, as the " +
                                                           "patience of " + base::format_duration(patience_.longest) +
                                                           " is used up"};
  const auto begun = attempts::clock::now();
  auto answer = with_retries(url, how, body, limit);
  *left_ -= std::chrono::ceil<std::chrono::milliseconds>(attempts::clock::now() - begun);
  return answer;
}

outcome<remote_answer> remote_client::get(const std::string& url, std::string& body, std::size_t limit) {
  return within_time(url, reading::whole, body, limit);
}

outcome<remote_answer> remote_client::peek(const std::string& url, std::string& body, std::size_t limit) {
  return within_time(url, reading::beginning, body, limit);
}

outcome<remote_answer> remote_client::head(const std::string& url) {
  std::string none;
  return within_time(url, reading::head, none, 0);
}

// The GET goes the whole way itself, as a host may redirect it alone.
outcome<remote_answer> remote_client::look_at(const std::string& url) {
  auto answer = head(url);
  const bool knows_no_head = answer && (answer->status == 405 || answer->status == 501);
  if (!answer || (answer->status != 403 && !knows_no_head)) return answer;
  std::string first;
  auto content = peek(url, first, 0);
  return knows_no_head || (content && content->status == 200) ? content : answer;
}

}  // namespace hasup::snapshot
