// The JSON form of jobs, results, progress, candidates and recipes: one list of members serves both directions.
#include "ports/worker_job.hpp"

#include <boost/json.hpp>
#include <limits>
#include <type_traits>

namespace hasup::ports {
namespace {

namespace json = boost::json;

// The table of each enum that travels.
constexpr const auto& names_of(worker_mode) {
  return worker_mode_names;
}
constexpr const auto& names_of(worker_failure) {
  return worker_failure_names;
}
constexpr const auto& names_of(model::checksum_policy) {
  return model::checksum_policy_names;
}
constexpr const auto& names_of(model::archive_order) {
  return model::archive_order_names;
}
constexpr const auto& names_of(model::unpack_mode) {
  return model::unpack_mode_names;
}
constexpr const auto& names_of(model::class_action) {
  return model::class_action_names;
}
constexpr const auto& names_of(model::match_mode) {
  return model::match_mode_names;
}
constexpr const auto& names_of(model::bootstrap_mode) {
  return model::bootstrap_mode_names;
}
constexpr const auto& names_of(model::confirm_when) {
  return model::confirm_when_names;
}

template <class T>
struct is_vector : std::false_type {};
template <class T>
struct is_vector<std::vector<T>> : std::true_type {};
template <class T>
struct is_optional : std::false_type {};
template <class T>
struct is_optional<std::optional<T>> : std::true_type {};

// The members of each type. `m(name, member)` is called for each; the archive decides what happens.
template <class M>
void members(M& m, model::snapshot_mirror& s) {
  m("url", s.url);
  m("source", s.source);
  m("sha256", s.sha256);
}

template <class M>
void members(M& m, model::snapshot& s) {
  m("name", s.name);
  m("url", s.url);
  m("source", s.source);
  m("size", s.size);
  m("time_ns", s.time);
  m("block", s.block);
  m("sha256", s.sha256);
  m("mirrors", s.mirrors);
  m("chunks", s.chunks);
  m("chain_id", s.chain_id);
  m("node_version", s.node_version);
}

template <class M>
void members(M& m, model::archive_spec& a) {
  m("match", a.match);
  m("pattern", a.pattern);
  m("order", a.order);
  m("unpack", a.unpack);
  m("as", a.as);
  m("into", a.into);
  m("strip", a.strip);
  m("at_hand", a.at_hand);
}

template <class M>
void members(M& m, model::snapshot_rule& r) {
  m("chain_id", r.chain_id);
  m("node_version", r.node_version);
  m("block_within", r.block_within);
  m("strict", r.strict);
}

template <class M>
void members(M& m, model::recovery_plan& p) {
  m("name", p.name);
  m("wipe", p.wipe);
  m("shared", p.shared);
  m("refused_by", p.refused_by);
  m("same_set", p.same_set);
  m("archives", p.archives);
  m("require", p.require);
}

template <class M>
void members(M& m, model::exit_class& c) {
  m("name", c.name);
  m("exit_codes", c.exit_codes);
  m("signals", c.signals);
  m("log", c.log);
  m("match", c.match);
  m("action", c.action);
  m("advice", c.advice);
}

template <class M>
void members(M& m, model::recipe& r) {
  m("name", r.name);
  m("description", r.description);
  m("classes", r.classes);
  m("failed_starts", r.failed_starts);
  m("must_exist", r.must_exist);
  m("bootstrap", r.bootstrap);
  m("locks", r.locks);
  m("keep", r.keep);
  m("plans", r.plans);
  m("first_start_append", r.first_start_append);
  m("confirm", r.confirm);
  m("confirm_within_ms", r.confirm_within);
  m("confirm_advancing_for_ms", r.confirm_advancing_for);
}

template <class M>
void members(M& m, candidate& c) {
  m("plan", c.plan);
  m("snapshots", c.snapshots);
}

template <class M>
void members(M& m, passed_over& p) {
  m("file", p.file);
  m("why", p.why);
}

template <class M>
void members(M& m, snapshot_proof& p) {
  m("url", p.url);
  m("digest", p.digest);
  m("is_signed", p.is_signed);
  m("unknown", p.unknown);
}

template <class M>
void members(M& m, model::source& s) {
  m("url", s.url);
  m("patience_ms", s.patience);
  m("ca_file", s.ca_file);
  m("client_certificate", s.client_certificate);
  m("client_key", s.client_key);
  m("header_file", s.header_file);
  m("proxy", s.proxy);
  m("identity_file", s.identity_file);
  m("known_hosts", s.known_hosts);
  m("endpoint", s.endpoint);
  m("region", s.region);
  m("credentials_file", s.credentials_file);
  m("profile", s.profile);
}

template <class M>
void members(M& m, model::wanted_directory& d) {
  m("path", d.path);
  m("mode", d.mode);
}

template <class M>
void members(M& m, create_order& c) {
  m("name", c.name);
  m("target", c.target);
  m("level", c.level);
  m("chunks", c.chunks);
  m("replace", c.replace);
  m("allow_changes", c.allow_changes);
  m("sign_key", c.sign_key);
  m("sign_password", c.sign_password);
  m("block", c.block);
  m("chain_id", c.chain_id);
  m("node_version", c.node_version);
}

template <class M>
void members(M& m, worker_job& j) {
  m("mode", j.mode);
  m("result_path", j.result_path);
  m("progress_path", j.progress_path);
  m("data_dir", j.data_dir);
  m("also", j.also);
  m("mount", j.mount);
  m("locks", j.locks);
  m("must_exist", j.must_exist);
  m("tolerated", j.tolerated);
  m("directories", j.directories);
  m("uid", j.uid);
  m("gid", j.gid);
  m("groups", j.groups);
  m("user", j.user);
  m("may_make_data", j.may_make_data);
  m("all_writers", j.all_writers);
  m("seen_free", j.seen_free);
  m("sources", j.sources);
  m("plans", j.plans);
  m("max_age_ms", j.max_age);
  m("explain", j.explain);
  m("file", j.file);
  m("create", j.create);
  m("checksum", j.checksum);
  m("max_rate", j.max_rate);
  m("seeds", j.seeds);
  m("public_key", j.public_key);
  m("chosen", j.chosen);
  m("plan", j.plan);
  m("keep", j.keep);
  m("min_free", j.min_free);
  m("max_window", j.max_window);
  m("unpack_ahead", j.unpack_ahead);
}

template <class M>
void members(M& m, writer_info& w) {
  m("pid", w.pid);
  m("command", w.command);
  m("path", w.path);
  m("start_time", w.start_time);
  m("uid", w.uid);
  m("ancestors", w.ancestors);
  m("tree", w.tree);
}

template <class M>
void members(M& m, worker_result& r) {
  m("failure", r.failure);
  m("error", r.error);
  m("snapshot", r.snapshot);
  m("writer", r.writer);
  m("writers", r.writers);
  m("missing", r.missing);
  m("mounted", r.mounted);
  m("data_dir_exists", r.data_dir_exists);
  m("data_dir_empty", r.data_dir_empty);
  m("half_swapped", r.half_swapped);
  m("free_bytes", r.free_bytes);
  m("made", r.made);
  m("candidates", r.candidates);
  m("notes", r.notes);
  m("passed", r.passed);
  m("proofs", r.proofs);
  m("sha256", r.sha256);
  m("verified", r.verified);
  m("verified_by", r.verified_by);
  m("archive_paths", r.archive_paths);
  m("bytes", r.bytes);
  m("at_hand", r.at_hand);
  m("is_archive", r.is_archive);
  m("entries", r.entries);
  m("name", r.name);
  m("url", r.url);
  m("content", r.content);
  m("signature", r.signature);
  m("chunks", r.chunks);
}

template <class M>
void members(M& m, worker_progress& p) {
  m("phase", p.phase);
  m("snapshot", p.snapshot);
  m("source", p.source);
  m("bytes_done", p.bytes_done);
  m("bytes_total", p.bytes_total);
  m("bytes_per_s", p.bytes_per_s);
}

class writer {
 public:
  template <class T>
  void operator()(std::string_view name, T& value) {
    object_[name] = make(value);
  }
  json::object take() { return std::move(object_); }

 private:
  template <class T>
  static json::value make(T& v) {
    if constexpr (std::is_same_v<T, std::string> || std::is_same_v<T, bool>) {
      return json::value(v);
    } else if constexpr (std::is_enum_v<T>) {
      return json::value(names_of(v).text(v));
    } else if constexpr (std::is_integral_v<T>) {
      if constexpr (std::is_signed_v<T>)
        return json::value(static_cast<std::int64_t>(v));
      else
        return json::value(static_cast<std::uint64_t>(v));
    } else if constexpr (std::is_same_v<T, base::duration>) {
      return json::value(static_cast<std::int64_t>(v.count()));
    } else if constexpr (std::is_same_v<T, base::wall_time>) {
      return json::value(static_cast<std::int64_t>(
          std::chrono::duration_cast<std::chrono::nanoseconds>(v.time_since_epoch()).count()));
    } else if constexpr (is_optional<T>::value) {
      return v ? make(*v) : json::value(nullptr);
    } else if constexpr (is_vector<T>::value) {
      json::array array;
      array.reserve(v.size());
      for (auto& item : v) array.push_back(make(item));
      return array;
    } else if constexpr (std::is_same_v<T, std::map<std::string, std::string>>) {
      json::object object;
      for (const auto& [key, text] : v) object[key] = text;
      return object;
    } else {
      writer inner;
      members(inner, v);
      return inner.take();
    }
  }

  json::object object_;
};

// An absent member leaves the default; a present one of a wrong type is an error that names its path.
class reader {
 public:
  reader(const json::object& object, std::string path) : object_(object), path_(std::move(path)) {}

  template <class T>
  void operator()(std::string_view name, T& value) {
    const auto* found = object_.if_contains(name);
    if (found == nullptr || !error_.empty()) return;
    const std::string path = path_.empty() ? std::string(name) : path_ + "." + std::string(name);
    error_ = read(*found, path, value);
  }
  const std::string& error() const { return error_; }

 private:
  static std::string expected(const std::string& path, std::string_view what) {
    return "\"" + path + "\" is not " + std::string(what);
  }

  // The empty text when it went well.
  template <class T>
  static std::string read(const json::value& in, const std::string& path, T& out) {
    if constexpr (std::is_same_v<T, std::string>) {
      if (!in.is_string()) return expected(path, "a string");
      out = std::string(in.get_string());
    } else if constexpr (std::is_same_v<T, bool>) {
      if (!in.is_bool()) return expected(path, "true or false");
      out = in.get_bool();
    } else if constexpr (std::is_enum_v<T>) {
      const auto parsed = in.is_string() ? names_of(out).parse(std::string_view(in.get_string())) : std::nullopt;
      if (!parsed) return expected(path, "one of the known words");
      out = *parsed;
    } else if constexpr (std::is_integral_v<T>) {
      return read_number(in, path, out);
    } else if constexpr (std::is_same_v<T, base::duration>) {
      std::int64_t n = 0;
      if (auto bad = read_number(in, path, n); !bad.empty()) return bad;
      out = base::duration(n);
    } else if constexpr (std::is_same_v<T, base::wall_time>) {
      std::int64_t n = 0;
      if (auto bad = read_number(in, path, n); !bad.empty()) return bad;
      out = base::wall_time(std::chrono::duration_cast<base::wall_time::duration>(std::chrono::nanoseconds(n)));
    } else if constexpr (is_optional<T>::value) {
      out.reset();
      if (in.is_null()) return {};
      return read(in, path, out.emplace());
    } else if constexpr (is_vector<T>::value) {
      return read_array(in, path, out);
    } else if constexpr (std::is_same_v<T, std::map<std::string, std::string>>) {
      if (!in.is_object()) return expected(path, "an object of strings");
      out.clear();
      for (const auto& [key, value] : in.get_object()) {
        if (auto bad = read(value, path + "." + std::string(key), out[std::string(key)]); !bad.empty()) return bad;
      }
    } else {
      if (!in.is_object()) return expected(path, "an object");
      reader inner(in.get_object(), path);
      members(inner, out);
      return inner.error();
    }
    return {};
  }

  template <class T>
  static std::string read_array(const json::value& in, const std::string& path, T& out) {
    if (!in.is_array()) return expected(path, "an array");
    out.clear();
    for (const auto& item : in.get_array()) {
      typename T::value_type value{};
      if (auto bad = read(item, path + "[" + std::to_string(out.size()) + "]", value); !bad.empty()) return bad;
      out.push_back(std::move(value));
    }
    return {};
  }

  template <class T>
  static std::string read_number(const json::value& in, const std::string& path, T& out) {
    boost::system::error_code failed;
    if (!in.is_int64() && !in.is_uint64()) return expected(path, "a whole number");
    const auto number = in.to_number<T>(failed);
    if (failed) return expected(path, "within its range");
    out = number;
    return {};
  }

  const json::object& object_;
  std::string path_;
  std::string error_;
};

template <class T>
std::string encode_object(const T& value) {
  T copy = value;  // members() takes the fields by reference for both directions
  writer out;
  members(out, copy);
  return json::serialize(out.take());
}

template <class T>
base::result<T> decode_object(std::string_view text, const std::string& what) {
  boost::system::error_code failed;
  json::parse_options options;
  options.max_depth = 32;
  options.allow_invalid_utf8 = true;  // command lines and file names are bytes
  const auto parsed = json::parse(text, failed, {}, options);
  if (failed) return base::error{what + " is not JSON: " + failed.message()};
  if (!parsed.is_object()) return base::error{what + " is not a JSON object"};
  T value{};
  reader in(parsed.get_object(), "");
  members(in, value);
  if (!in.error().empty()) return base::error{what + ": " + in.error()};
  return value;
}

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

base::result<model::source> decode_source(std::string_view json) {
  return decode_object<model::source>(json, "source");
}

base::result<model::recipe> decode_recipe(std::string_view json) {
  return decode_object<model::recipe>(json, "recipe");
}

worker_result internal_failure(std::string why) {
  worker_result r;
  r.failure = worker_failure::internal;
  r.error = std::move(why);
  return r;
}

}  // namespace hasup::ports
