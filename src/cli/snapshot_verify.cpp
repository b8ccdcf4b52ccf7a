// hasup snapshot verify: is a file on this machine whole, harmless, and what its host made?
#include <fmt/format.h>

#include <boost/json.hpp>
#include <filesystem>

#include "base/byte_size.hpp"
#include "cli/snapshot_verb.hpp"

namespace json = boost::json;

namespace hasup::cli {
namespace {

struct verdict {
  std::string file;
  bool good = false;
  std::string error;
  ports::worker_result proven;
  ports::worker_result read;
};

std::string contents_text(const ports::worker_result& read) {
  const auto size = base::format_byte_size(read.bytes);
  if (!read.is_archive) return size + " unpacked";
  return fmt::format("{} {}, {} unpacked", read.entries, read.entries == 1 ? "entry" : "entries", size);
}

std::string line_of(const verdict& v, const terminal& t) {
  if (!v.good) return fmt::format("{}: {}\n", printable(v.file), paint(printable(v.error), style::red, t.colour));
  const auto proof = v.proven.verified ? "verified by " + v.proven.verified_by
                                       : std::string("readable, but nothing beside it proves it");
  return fmt::format("{}: {}; {}\n", printable(v.file),
                     paint(proof, v.proven.verified ? style::green : style::yellow, t.colour), contents_text(v.read));
}

json::object json_of(const verdict& v) {
  const auto& sha256 = v.proven.sha256;
  return {{"file", valid_utf8(v.file)},
          {"ok", v.good},
          {"error", v.good ? json::value(nullptr) : json::value(valid_utf8(v.error))},
          {"verified", v.proven.verified},
          {"verified_by", v.proven.verified ? json::value(v.proven.verified_by) : json::value(nullptr)},
          {"sha256", sha256.empty() ? json::value(nullptr) : json::value(sha256.front())},
          {"size", sha256.empty() ? json::value(nullptr) : json::value(v.proven.bytes)},
          {"archive", v.good ? json::value(v.read.is_archive) : json::value(nullptr)},
          {"entries", v.good && v.read.is_archive ? json::value(v.read.entries) : json::value(nullptr)},
          {"unpacked_size", v.good ? json::value(v.read.bytes) : json::value(nullptr)}};
}

// The checksum first: what is not the file that was made is not worth reading.
verdict look_at(const context& c, const std::string& file, ports::worker_job job, bool& interrupted) {
  verdict out;
  out.file = file;
  job.file =
      config::normal_path(file.starts_with('/') ? file : std::filesystem::current_path().string() + "/" + file);
  model::snapshot s;
  s.name = job.file.substr(job.file.rfind('/') + 1);
  s.url = s.source = job.file;
  job.chosen = ports::candidate{0, {s}};
  job.mode = ports::worker_mode::verify;
  auto proven = call_worker(c, job, "");
  interrupted = proven.interrupted;
  out.proven = std::move(proven.result);
  out.error = out.proven.error;
  if (!out.proven.ok() || interrupted) return out;
  job.mode = ports::worker_mode::examine;
  auto read = call_worker(c, job, "");
  interrupted = read.interrupted;
  out.read = std::move(read.result);
  out.error = out.read.error;
  out.good = out.read.ok();
  return out;
}

}  // namespace

exit_code verify_snapshots(const context& c) {
  ports::worker_job job;
  const auto& o = c.call.snapshots;
  if (!o.checksum.empty()) job.checksum = *model::checksum_policy_names.parse(o.checksum);
  if (!o.public_key.empty()) {
    auto key = read_public_key(o.public_key);
    if (!key) {
      complain(c, "--public-key: " + key.error().message);
      return exit_code::usage;
    }
    job.public_key = std::move(*key);
  }
  job.max_window = model::recovery_policy{}.max_window;
  if (!o.max_window.empty()) {
    const auto window = base::parse_byte_size(o.max_window);
    if (!window) {
      complain(c, "--max-window: " + window.error().message);
      return exit_code::usage;
    }
    job.max_window = *window;
  }
  bool all_good = true;
  json::array files;
  for (const auto& file : c.call.targets) {
    bool interrupted = false;
    const auto v = look_at(c, file, job, interrupted);
    if (interrupted) {
      complain(c, "interrupted");
      return exit_code::failed;
    }
    all_good = all_good && v.good;
    for (const auto& note : v.proven.notes)
      if (!c.call.json) complain(c, printable(note));
    if (c.call.json)
      files.emplace_back(json_of(v));
    else
      print(line_of(v, c.out));
  }
  if (c.call.json) print(json::serialize(json::object{{"ok", all_good}, {"files", std::move(files)}}) + "\n");
  return all_good ? exit_code::done : exit_code::failed;
}

}  // namespace hasup::cli
