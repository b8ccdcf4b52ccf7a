// The JSON form of jobs, results, progress, candidates and recipes.
#include "ports/worker_job.hpp"

#include "ports/json_form.hpp"

namespace hasup::ports {
namespace {

bool has_member(std::string_view text, std::string_view name) {
  boost::system::error_code failed;
  json::parse_options options;
  options.allow_invalid_utf8 = true;
  const auto parsed = json::parse(text, failed, {}, options);
  return !failed && parsed.is_object() && parsed.get_object().contains(name);
}

}  // namespace

std::string encode(const worker_job& job) {
  return encode_object(job);
}
std::string encode(const worker_result& result) {
  return encode_object(result);
}
std::string encode(const worker_progress& progress) {
  return encode_object(progress);
}
std::string encode(const candidate& c) {
  return encode_object(c);
}
std::string encode(const model::source& s) {
  return encode_object(s);
}
std::string encode(const model::recipe& r) {
  return encode_object(r);
}
std::string encode(const warm_set& w) {
  return encode_object(w);
}

base::result<worker_job> decode_job(std::string_view json) {
  auto job = decode_object<worker_job>(json, "worker job");
  if (!job) return job;
  // Without these a job would do something that nobody asked for, or tell nobody how it went.
  if (!has_member(json, "mode")) return base::error{"worker job: \"mode\" is missing"};
  if (job->result_path.empty()) return base::error{"worker job: \"result_path\" is missing"};
  return job;
}

base::result<worker_result> decode_result(std::string_view json) {
  auto decoded = decode_object<worker_result>(json, "worker result");
  if (decoded && !has_member(json, "failure")) return base::error{"worker result: \"failure\" is missing"};
  return decoded;
}

base::result<worker_progress> decode_progress(std::string_view json) {
  return decode_object<worker_progress>(json, "worker progress");
}

base::result<candidate> decode_candidate(std::string_view json) {
  return decode_object<candidate>(json, "candidate");
}

base::result<warm_set> decode_warm(std::string_view json) {
  return decode_object<warm_set>(json, "warm.json");
}

base::result<model::source> decode_source(std::string_view json) {
  return decode_object<model::source>(json, "source");
}

base::result<model::recipe> decode_recipe(std::string_view json) {
  return decode_object<model::recipe>(json, "recipe");
}

worker_result internal_failure(std::string why) {
  worker_result r;
  r.failure = worker_failure::internal;
  r.answered = false;
  r.error = std::move(why);
  return r;
}

}  // namespace hasup::ports
