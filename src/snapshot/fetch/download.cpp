#include "snapshot/fetch/download.hpp"

#include <re2/re2.h>

#include "snapshot/cache_seal.hpp"
#include "snapshot/listing.hpp"

namespace hasup::snapshot {
namespace {

class download_run {
 public:
  download_run(remote_client& host, const data_tree& tree, const disk& d, job_control& control,
               const model::snapshot& s, part_file& part, download_report& report)
      : host_(host), tree_(tree), disk_(d), control_(control), snapshot_(s), part_(part), report_(report) {}

  outcome<void> run();

 private:
  enum class verdict { whole, again };

  outcome<void> prepare();
  outcome<verdict> attempt();
  outcome<void> begin(const remote_answer& answer);
  outcome<void> begin_whole(const remote_answer& answer);
  outcome<void> begin_rest(const remote_answer& answer);
  outcome<verdict> judge(const remote_client::download_end& end);
  outcome<void> forget();
  outcome<void> remember();
  failure unreachable(const std::string& why) const {
    return {ports::worker_failure::unreachable, without_password(snapshot_.url) + ": " + why, snapshot_.name};
  }

  remote_client& host_;
  const data_tree& tree_;
  const disk& disk_;
  job_control& control_;
  const model::snapshot& snapshot_;
  part_file& part_;
  download_report& report_;
  std::string validator_;               // of the version that part_ holds; "" = it cannot be resumed
  std::optional<std::uint64_t> total_;  // of that version
  bool asked_rest_ = false;
  bool wrong_range_ = false;
  unsigned whole_starts_ = 0;
  std::optional<failure> broken_;  // why a callback ended the transfer
  std::string last_error_;
};

outcome<void> download_run::prepare() {
  control_.begin("verify", snapshot_.name, without_password(snapshot_.source), snapshot_.size);
  if (auto opened = part_.open_existing(control_); !opened) return opened;
  const auto note = read_resume_note(tree_.own(), snapshot_.name);
  if (part_.size() > 0 && note && note->url == snapshot_.url && !note->validator.empty()) {
    validator_ = note->validator;
    total_ = note->total;
    report_.resumed = true;
  } else if (part_.size() > 0) {
    if (auto fresh = part_.start_over(); !fresh) return fresh;
  }
  const auto total = total_ ? total_ : snapshot_.size;
  return part_.check_space(total && *total > part_.size() ? *total - part_.size() : 0);
}

outcome<void> download_run::run() {
  if (auto prepared = prepare(); !prepared) return prepared;
  unsigned fruitless = 0;
  while (true) {
    const auto before = part_.size();
    auto state = attempt();
    if (!state) return state.error();
    if (*state == verdict::whole) break;
    fruitless = part_.size() > before ? 1 : fruitless + 1;
    // A host that cannot resume and always breaks off would otherwise be asked for ever.
    if (fruitless >= host_.limits().attempts || whole_starts_ >= host_.limits().attempts)
      return unreachable(last_error_);
    if (!host_.wait_before(fruitless)) return cancelled();
  }
  if (snapshot_.size && *snapshot_.size != part_.size()) return other_size(snapshot_, part_.size());
  if (part_.size() == 0) return bad_snapshot(snapshot_.name, snapshot_.name + " is empty");
  report_.validator = validator_;
  return {};
}

outcome<download_run::verdict> download_run::attempt() {
  asked_rest_ = part_.size() > 0 && !validator_.empty() && !wrong_range_;
  std::optional<remote_client::rest> from;
  if (asked_rest_) from = remote_client::rest{part_.size(), validator_};
  broken_.reset();
  remote_client::download to;
  to.begin = [&](const remote_answer& answer) {
    auto ready = begin(answer);
    if (!ready) broken_ = ready.error();
    return ready.has_value() && (answer.status == 200 || answer.status == 206) && !wrong_range_;
  };
  to.data = [&](const char* data, std::size_t size) {
    if (total_ && part_.size() + size > *total_) {
      broken_ = bad_snapshot(snapshot_.name, snapshot_.name + " grows past the announced size");
      return false;
    }
    auto added = part_.append(data, size);
    if (!added) broken_ = added.error();
    control_.advance(part_.size());
    return added.has_value();
  };
  auto end = host_.fetch(snapshot_.url, from, to);
  if (!end) return end.error();
  if (broken_) return *broken_;
  return judge(*end);
}

outcome<void> download_run::begin(const remote_answer& answer) {
  if (answer.status == 206) return begin_rest(answer);
  if (answer.status == 200) return begin_whole(answer);
  return {};
}

outcome<void> download_run::begin_whole(const remote_answer& answer) {
  report_.resumed = false;
  wrong_range_ = false;
  ++whole_starts_;
  if (auto fresh = part_.start_over(); !fresh) return fresh;
  validator_ = validator_of(answer);
  total_ = answer.length;
  if (auto enough = part_.check_space(total_.value_or(0)); !enough) return enough;
  control_.begin("fetch", snapshot_.name, without_password(snapshot_.source), total_);
  return remember();
}

// A 206 that is not exactly what was asked for, or of another version, would silently join two files.
outcome<void> download_run::begin_rest(const remote_answer& answer) {
  const auto range = parse_content_range(answer.content_range);
  const auto now = validator_of(answer);
  wrong_range_ = !asked_rest_ || !range || range->first != part_.size() || (!now.empty() && now != validator_) ||
                 (total_ && range->total && *range->total != *total_);
  if (wrong_range_) {
    last_error_ = "the host answered a request for a range with \"" + answer.content_range + "\"";
    return {};
  }
  if (range->total) total_ = range->total;
  report_.resumed = true;
  control_.begin("fetch", snapshot_.name, without_password(snapshot_.source), total_, part_.size());
  return {};
}

outcome<download_run::verdict> download_run::judge(const remote_client::download_end& end) {
  const auto status = end.answer.status;
  if (wrong_range_ && status == 206) {
    if (auto forgotten = forget(); !forgotten) return forgotten.error();
    return verdict::again;
  }
  if (status == 416 && asked_rest_) {
    const auto range = parse_content_range(end.answer.content_range);
    if (range && range->total == part_.size() && total_ == part_.size()) return verdict::whole;
    last_error_ = "the file on the host is shorter than what is here";
    if (auto forgotten = forget(); !forgotten) return forgotten.error();
    return verdict::again;
  }
  if (!end.error.empty()) {
    last_error_ = end.error;
    if (end.permanent) return unreachable(last_error_);
    return verdict::again;
  }
  if (status == 200 || status == 206) {
    // Without a Content-Length the end of the connection looks like the end of the file: the listing knows better.
    const auto expected = total_ ? total_ : snapshot_.size;
    if (end.whole && (!expected || part_.size() >= *expected)) return verdict::whole;
    last_error_ = "the connection ended after " + std::to_string(part_.size()) + " bytes";
    return verdict::again;
  }
  last_error_ = "HTTP status " + std::to_string(status);
  if (!is_passing(status)) return unreachable(last_error_);
  return verdict::again;
}

outcome<void> download_run::forget() {
  validator_.clear();
  total_.reset();
  report_.resumed = false;
  return part_.start_over();
}

outcome<void> download_run::remember() {
  if (validator_.empty()) return disk_.remove_file(tree_.own(), "cache/" + snapshot_.name + ".resume");
  return write_resume_note(tree_.own(), disk_, snapshot_.name, {snapshot_.url, validator_, total_});
}

}  // namespace

outcome<void> download_archive(remote_client& host, const data_tree& tree, const disk& d, job_control& control,
                               const model::snapshot& s, part_file& part, download_report& report) {
  return download_run(host, tree, d, control, s, part, report).run();
}

failure other_size(const model::snapshot& s, std::uint64_t actual) {
  const auto text =
      s.name + " was announced with " + std::to_string(*s.size) + " bytes, but has " + std::to_string(actual);
  // A manifest is a promise about the content; a listing only shows a moment, and an upload may go on.
  if (!s.sha256.empty()) return bad_snapshot(s.name, text + "; the archive is damaged or was replaced");
  return {ports::worker_failure::unreachable, text + "; it changed since it was listed", s.name};
}

std::string validator_of(const remote_answer& answer) {
  if (!answer.etag.empty() && !answer.etag.starts_with("W/")) return answer.etag;
  return answer.last_modified;
}

std::string file_validator(const struct stat& st) {
  return std::to_string(st.st_size) + "-" + std::to_string(st.st_mtim.tv_sec) + "." +
         std::to_string(st.st_mtim.tv_nsec) + "-" + std::to_string(st.st_ino);
}

std::optional<byte_range> parse_content_range(std::string_view text) {
  static const RE2 form(R"(bytes (?:(\d+)-\d+|\*)/(\d+|\*))");
  std::string first;
  std::string total;
  if (!RE2::FullMatch(text, form, &first, &total)) return std::nullopt;
  byte_range range;
  std::uint64_t n = 0;
  if (total != "*" && RE2::FullMatch(total, R"((\d+))", &n)) range.total = n;
  if (!first.empty()) {
    if (!RE2::FullMatch(first, R"((\d+))", &range.first)) return std::nullopt;
  } else {
    if (!range.total) return std::nullopt;
    range.first = *range.total;
  }
  return range;
}

}  // namespace hasup::snapshot
