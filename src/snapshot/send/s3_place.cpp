// S3: a multipart upload, which is no object before it is completed, and leaves nothing when it is aborted.
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/mpuoverview.html
#include <chrono>

#include "snapshot/delta/chunk_index.hpp"
#include "snapshot/fetch/digester.hpp"
#include "snapshot/fetch/s3_access.hpp"
#include "snapshot/listing.hpp"
#include "snapshot/s3_listing.hpp"
#include "snapshot/send/remote_place.hpp"
#include "snapshot/send/s3_texts.hpp"

namespace hasup::snapshot {
namespace {

constexpr std::size_t text_limit = 64U << 20;
constexpr auto abandoned_after = std::chrono::hours(24);
constexpr unsigned most_pages = 10;  // of 1,000 pieces

class s3_place_for_archives : public remote_place {
 public:
  s3_place_for_archives(const ports::create_order& order, const job_control& control, patience p)
      : remote_place(control), order_(order), patience_(p), client_(this->control(), p, order.target) {
    const auto place = place_of(order.target);
    bucket_ = place.base;
    prefix_ = place.prefix;
    base_ = bucket_ + encoded_path(prefix_);
  }

  outcome<bool> has(const std::string& name) override {
    auto answer = client_.head(base_ + percent_encode(name));
    if (!answer) return answer.error();
    if (answer->status == 404) return false;
    if (answer->status == 200) return true;
    return refused(name, "HTTP status " + std::to_string(answer->status) +
                             "; do the keys allow to list and read as well as to write?");
  }

  outcome<std::optional<std::string>> text_of(const std::string& name) override {
    std::string body;
    auto answer = client_.get(base_ + percent_encode(name), body, text_limit);
    if (!answer) return answer.error();
    if (answer->status == 404) return std::optional<std::string>{};
    if (answer->status != 200) return refused(name, why(answer->status, body));
    return std::optional<std::string>(std::move(body));
  }

  outcome<void> put(const std::string& name, std::string_view text) override {
    return done(name, request("PUT", name, "", text, type_of(name)));
  }

  // A conditional write: https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html
  outcome<void> edit(const std::string& name, const change& how) override {
    bool conditions = true;
    unsigned unreadable = 0;
    attempts tries(client_);
    while (tries.next()) {
      std::string text;
      auto answer = client_.get(base_ + percent_encode(name), text, text_limit);
      if (!answer) return answer.error();
      const bool there = answer->status == 200;
      if (!there && answer->status != 404) return refused(name, why(answer->status, text));
      auto changed = how(there ? text : std::string());
      // A store on a plain file system may show one that is just being written.
      if (!changed && there && ++unreadable < 3) continue;
      if (!changed) return changed.error();
      if (!*changed) return {};
      const bool strong = !answer->etag.empty() && !answer->etag.starts_with("W/");
      std::string only;
      if (conditions && !there) only = "If-None-Match: *";
      if (conditions && there && strong) only = "If-Match: " + answer->etag;
      auto put = request("PUT", name, "", **changed, type_of(name), only);
      if (!put) return put.error();
      // Another one was faster (409: is just at it; 404: has removed it).
      if (put->status == 412 || put->status == 409 || (put->status == 404 && there)) continue;
      if (!only.empty() && s3_knows_no_conditions(put->status, put->body)) {
        conditions = false;
        tries.progressed();
        continue;
      }
      return done(name, std::move(put));
    }
    if (control().cancelled()) return cancelled();
    return refused(name, "others change it all the time");
  }

  outcome<void> remove(const std::string& name) override {
    auto answer = request("DELETE", name, "", {}, "");
    if (answer && answer->status == 404) return {};
    return done(name, std::move(answer));
  }

  outcome<void> begin() override {
    abort_abandoned();
    auto answer = request("POST", order_.name, "uploads=", {}, "application/zstd");
    if (!answer) return answer.error();
    upload_ = answer->status == 200 ? s3_upload_id(answer->body) : "";
    if (upload_.empty()) return refused(order_.name, why(answer->status, answer->body));
    return {};
  }

  outcome<void> piece(unsigned number, std::uint64_t, std::string_view bytes) override {
    const auto query = "partNumber=" + std::to_string(number) + "&uploadId=" + percent_encode(upload_);
    auto answer = request("PUT", order_.name, query, bytes, "");
    if (answer && answer->status == 200 && answer->etag.empty())
      return refused(order_.name, "the store gives no ETag for a piece");
    if (answer && answer->status == 200) tags_.push_back(answer->etag);
    return done(order_.name, std::move(answer));
  }

  outcome<void> publish(std::uint64_t size) override {
    const auto before = client_.head(base_ + percent_encode(order_.name));
    auto answer =
        request("POST", order_.name, "uploadId=" + percent_encode(upload_), s3_completion(tags_), "application/xml");
    // Once it is completed another attempt finds no such upload: whether it is there says the object itself. And an
    // error may come with the status 200. What is aborted is not completed any more after that look.
    const bool good = answer && answer->status == 200 && s3_error_text(answer->body).empty();
    std::optional<time_to_clean_up> goes_on;
    if (control().cancelled()) goes_on.emplace(*this);
    if (!good) abandon();
    auto there = client_.head(base_ + percent_encode(order_.name));
    const bool other = before && there && there->etag != before->etag;
    if (there && there->status == 200 && there->length == size && (good || !order_.replace || other)) {
      upload_.clear();
      return {};
    }
    if (good)
      return refused(order_.name, there ? "the store has taken it, but shows another size" : there.error().message);
    return done(order_.name, std::move(answer));
  }

  void abandon() override {
    if (upload_.empty()) return;
    const time_to_clean_up goes_on(*this);
    (void)request("DELETE", order_.name, "uploadId=" + percent_encode(upload_), {}, "");
  }

  [[nodiscard]] std::string url() const override {
    return order_.target.url + (order_.target.url.ends_with('/') ? "" : "/") + order_.name;
  }

 private:
  struct reply {
    long status = 0;
    std::string etag;
    std::string body;
  };

  static const char* type_of(const std::string& name) {
    return name.ends_with(".json")              ? "application/json"
           : name.ends_with(chunk_index_suffix) ? "application/octet-stream"
                                                : "text/plain";
  }

  static std::string encoded_path(std::string_view path) {
    std::string out;
    for (; !path.empty();) {
      const auto slash = path.find('/');
      out += percent_encode(path.substr(0, slash));
      if (slash == std::string_view::npos) break;
      out += '/';
      path.remove_prefix(slash + 1);
    }
    return out;
  }

  // What a run to the same key left when it was killed, and the store keeps (and bills). One that has brought no
  // piece for a day is nobody's any more. A store that has no such lists, or keys that may not read them, are no
  // obstacle.
  void abort_abandoned() {
    const auto key = prefix_ + order_.name;
    std::string body;
    auto once = patience_;  // what has no such lists may answer as if it were in trouble
    once.attempts = 1;
    remote_client asks(control(), once, order_.target);
    auto answer = asks.get(bucket_ + "?prefix=" + percent_encode(key) + "&uploads=", body);
    if (!answer || answer->status != 200) return;
    const auto latest = std::chrono::system_clock::now() - abandoned_after;
    for (const auto& one : s3_uploads_of(body, key))
      if (one.begun < latest && no_piece_since(one.id, latest))
        (void)request("DELETE", order_.name, "uploadId=" + percent_encode(one.id), {}, "");
  }

  bool no_piece_since(const std::string& upload, base::wall_time latest) {
    std::string more;
    for (unsigned page = 0; page < most_pages; ++page) {
      std::string body;
      const auto after = more.empty() ? std::string() : "part-number-marker=" + percent_encode(more) + "&";
      auto answer =
          client_.get(base_ + percent_encode(order_.name) + "?" + after + "uploadId=" + percent_encode(upload), body);
      if (!answer || answer->status != 200) return false;
      const auto pieces = s3_newest_piece(body);
      if (!pieces.is_list || (pieces.time && *pieces.time >= latest)) return false;
      more = pieces.more;
      if (more.empty()) return true;
    }
    return false;
  }

  static std::string why(long status, const std::string& body) {
    const auto said = s3_error_text(body);
    return said.empty() ? "HTTP status " + std::to_string(status) : said;
  }

  [[nodiscard]] failure refused(const std::string& name, const std::string& how) const {
    return {ports::worker_failure::unreachable, order_.target.url + ": " + name + ": " + how};
  }

  outcome<void> done(const std::string& name, outcome<reply> answer) const {
    if (!answer) return answer.error();
    if (answer->status >= 200 && answer->status < 300) return {};
    return refused(name, why(answer->status, answer->body));
  }

  // Tried again after what may pass. The store compares the bytes with their sha256, which is signed.
  outcome<reply> request(const char* method, const std::string& name, const std::string& query, std::string_view body,
                         const std::string& type, const std::string& condition = {}) {
    digester sha256;
    sha256.add(body.data(), body.size());
    remote_client::upload what{method, body, {"x-amz-content-sha256: " + sha256.take()}};
    if (!type.empty()) what.headers.push_back("Content-Type: " + type);
    if (!condition.empty()) what.headers.push_back(condition);
    const auto url = base_ + percent_encode(name) + (query.empty() ? "" : "?" + query);
    std::string last;
    const auto until = client_.end_of_sending(body.size());
    attempts tries(client_);
    while (attempts::clock::now() < until && tries.next()) {
      reply out;
      const auto begun = attempts::clock::now();
      auto end = client_.send(url, what, out.body, until);
      if (!end) return end.error();
      if (control().cancelled()) return cancelled();
      out.status = end->answer.status;
      out.etag = end->answer.etag;
      if (end->error.empty() && !is_passing(out.status)) return out;
      last = end->error.empty() ? why(out.status, out.body) : end->error;
      if (end->permanent) break;
      if (end->uploaded > 0) tries.not_counted(attempts::clock::now() - begun);
    }
    if (control().cancelled()) return cancelled();
    return refused(name, last);
  }

  const ports::create_order& order_;
  patience patience_;
  remote_client client_;
  std::string bucket_;  // its address
  std::string prefix_;
  std::string base_;
  std::string upload_;  // its id; "" = there is none to abort
  std::vector<std::string> tags_;
};

}  // namespace

outcome<std::unique_ptr<remote_place>> open_s3_place(const ports::create_order& order, const job_control& control,
                                                     patience p) {
  return std::unique_ptr<remote_place>(std::make_unique<s3_place_for_archives>(order, control, p));
}

}  // namespace hasup::snapshot
