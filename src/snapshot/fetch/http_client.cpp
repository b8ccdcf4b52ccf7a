#include "snapshot/fetch/http_client.hpp"

#include <curl/curl.h>

#include <algorithm>
#include <charconv>
#include <random>
#include <thread>

#include "snapshot/listing.hpp"

namespace hasup::snapshot {
namespace {

struct list_closer {
  void operator()(curl_slist* l) const { curl_slist_free_all(l); }
};

std::string lower(std::string_view text) {
  std::string out(text);
  std::transform(out.begin(), out.end(), out.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
  return out;
}

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && (text.back() == '\r' || text.back() == '\n' || text.back() == ' ')) text.remove_suffix(1);
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  return text;
}

// One transfer's state for curl's C callbacks.
struct transfer {
  CURL* curl = nullptr;
  const job_control* control = nullptr;
  const http_client::download* to = nullptr;
  http_answer answer;
  bool began = false;
  bool refused = false;  // begin or data said no

  void header(std::string_view line) {
    if (line.starts_with("HTTP/")) answer = {};  // of the next answer after a redirect
    const auto colon = line.find(':');
    if (colon == std::string_view::npos) return;
    const auto name = lower(line.substr(0, colon));
    const std::string value(trimmed(line.substr(colon + 1)));
    if (name == "etag") answer.etag = value;
    if (name == "last-modified") answer.last_modified = value;
    if (name == "content-type") answer.content_type = lower(value);
    if (name == "content-range") answer.content_range = value;
    if (name == "content-disposition") answer.content_disposition = value;
    if (name == "content-length") {
      std::uint64_t n = 0;
      const auto [end, ec] = std::from_chars(value.data(), value.data() + value.size(), n);
      if (ec == std::errc{} && end == value.data() + value.size()) answer.length = n;
    }
  }

  void fill() {
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &answer.status);
    char* url = nullptr;
    if (curl_easy_getinfo(curl, CURLINFO_EFFECTIVE_URL, &url) == CURLE_OK && url != nullptr) answer.url = url;
  }

  bool ensure_begun() {
    if (began) return !refused;
    began = true;
    fill();
    refused = to != nullptr && to->begin && !to->begin(answer);
    return !refused;
  }
};

std::size_t on_header(char* data, std::size_t size, std::size_t count, void* user) {
  static_cast<transfer*>(user)->header({data, size * count});
  return size * count;
}

std::size_t on_data(char* data, std::size_t size, std::size_t count, void* user) {
  auto& t = *static_cast<transfer*>(user);
  if (!t.ensure_begun()) return CURL_WRITEFUNC_ERROR;
  if (t.to != nullptr && !t.to->data(data, size * count)) {
    t.refused = true;
    return CURL_WRITEFUNC_ERROR;
  }
  return size * count;
}

int on_progress(void* user, curl_off_t, curl_off_t, curl_off_t, curl_off_t) {
  return static_cast<transfer*>(user)->control->cancelled() ? 1 : 0;
}

}  // namespace

struct http_client::handle {
  CURL* curl = nullptr;
  handle() {
    curl_global_init(CURL_GLOBAL_DEFAULT);
    curl = curl_easy_init();
  }
  handle(const handle&) = delete;
  handle& operator=(const handle&) = delete;
  ~handle() { curl_easy_cleanup(curl); }
};

bool is_passing(long status) {
  return status >= 500 || status == 408 || status == 429;
}

http_client::http_client(const job_control& control, patience p)
    : control_(control), patience_(p), handle_(std::make_unique<handle>()) {}
http_client::~http_client() = default;

bool http_client::wait_before(unsigned attempt) const {
  if (attempt == 0) return !control_.cancelled();
  auto delay = patience_.first_delay;
  for (unsigned i = 1; i < attempt && delay < patience_.max_delay; ++i) delay *= 2;
  delay = std::min(delay, patience_.max_delay);
  static thread_local std::minstd_rand random(std::random_device{}());
  delay += delay * static_cast<int>(random() % 20U) / 100;  // so that many machines do not come back at once
  const auto until = std::chrono::steady_clock::now() + delay;
  while (std::chrono::steady_clock::now() < until) {
    if (control_.cancelled()) return false;
    std::this_thread::sleep_for(std::min(delay, std::chrono::milliseconds(20)));
  }
  return !control_.cancelled();
}

outcome<http_client::download_end> http_client::fetch(const std::string& url, const std::vector<std::string>& headers,
                                                      const download& to) {
  CURL* curl = handle_->curl;
  if (curl == nullptr) return failure{ports::worker_failure::internal, "libcurl cannot be initialised"};
  curl_easy_reset(curl);
  transfer t;
  t.curl = curl;
  t.control = &control_;
  t.to = &to;
  std::unique_ptr<curl_slist, list_closer> lines;
  for (const auto& h : headers) {
    auto* longer = curl_slist_append(lines.get(), h.c_str());
    (void)lines.release();
    lines.reset(longer);
  }
  std::string why(CURL_ERROR_SIZE, '\0');
  curl_easy_setopt(curl, CURLOPT_URL, url.c_str());
  curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(curl, CURLOPT_REDIR_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 1L);
  curl_easy_setopt(curl, CURLOPT_MAXREDIRS, 5L);
  curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(curl, CURLOPT_USERAGENT, "hasup");
  curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, patience_.connect_timeout_s);
  curl_easy_setopt(curl, CURLOPT_LOW_SPEED_LIMIT, patience_.stall_bytes_per_s);
  curl_easy_setopt(curl, CURLOPT_LOW_SPEED_TIME, patience_.stall_s);
  curl_easy_setopt(curl, CURLOPT_BUFFERSIZE, 512L << 10);
  curl_easy_setopt(curl, CURLOPT_HTTPHEADER, lines.get());
  curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, why.data());
  curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, &on_header);
  curl_easy_setopt(curl, CURLOPT_HEADERDATA, &t);
  curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, &on_data);
  curl_easy_setopt(curl, CURLOPT_WRITEDATA, &t);
  curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
  curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, &on_progress);
  curl_easy_setopt(curl, CURLOPT_XFERINFODATA, &t);
  if (!to.data) curl_easy_setopt(curl, CURLOPT_NOBODY, 1L);
  const CURLcode code = curl_easy_perform(curl);
  if (control_.cancelled()) return cancelled();
  if (code == CURLE_OK)
    (void)t.ensure_begun();  // an answer without a body
  else
    t.fill();
  download_end end{std::move(t.answer), t.began, code == CURLE_OK && !t.refused, {}};
  if (code != CURLE_OK && !t.refused) {
    end.error = why.c_str();
    if (end.error.empty()) end.error = curl_easy_strerror(code);
  }
  return end;
}

outcome<http_answer> http_client::with_retries(const std::string& url, bool head, std::string& body,
                                               std::size_t limit) {
  std::string last;
  for (unsigned attempt = 0; attempt < patience_.attempts; ++attempt) {
    if (!wait_before(attempt)) return cancelled();
    body.clear();
    download to;
    if (!head)
      to.data = [&](const char* data, std::size_t size) {
        if (body.size() + size > limit) return false;
        body.append(data, size);
        return true;
      };
    auto end = fetch(url, {"Accept: text/html, application/json;q=0.9, */*;q=0.5"}, to);
    if (!end) return end.error();
    if (end->error.empty() && !end->whole)
      return failure{ports::worker_failure::unreachable,
                     without_password(url) + " is longer than " + base::format_byte_size(limit) + ": not a listing"};
    if (end->error.empty() && !is_passing(end->answer.status)) return std::move(end->answer);
    last = end->error.empty() ? "HTTP status " + std::to_string(end->answer.status) : end->error;
  }
  return failure{ports::worker_failure::unreachable, without_password(url) + ": " + last};
}

outcome<http_answer> http_client::get(const std::string& url, std::string& body, std::size_t limit) {
  return with_retries(url, false, body, limit);
}

outcome<http_answer> http_client::head(const std::string& url) {
  std::string none;
  return with_retries(url, true, none, 0);
}

}  // namespace hasup::snapshot
