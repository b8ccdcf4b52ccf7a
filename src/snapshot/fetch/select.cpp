#include "snapshot/fetch/select.hpp"

#include <fcntl.h>

#include <algorithm>
#include <chrono>
#include <set>

#include "base/time_text.hpp"
#include "base/unique_fd.hpp"
#include "snapshot/block_log.hpp"
#include "snapshot/cache_seal.hpp"
#include "snapshot/candidate_order.hpp"
#include "snapshot/explanation.hpp"
#include "snapshot/fetch/expected_digest.hpp"
#include "snapshot/fetch/local_server.hpp"
#include "snapshot/fetch/refining.hpp"
#include "snapshot/fetch/source_listing.hpp"
#include "snapshot/fetch/version_answer.hpp"
#include "snapshot/requirement.hpp"
#include "snapshot/warm_file.hpp"

namespace hasup::snapshot {
namespace {

// Where nothing more is explained, the newest few say it for all.
constexpr std::size_t most_notes = 3;

void drop_old(std::vector<ports::candidate>& candidates, base::duration max_age, std::vector<std::string>& notes,
              std::vector<ports::passed_over>* passed) {
  if (max_age.count() <= 0) return;
  std::size_t dropped = 0;
  const auto oldest = std::chrono::system_clock::now() - max_age;
  std::erase_if(candidates, [&](const ports::candidate& c) {
    for (const auto& s : c.snapshots) {
      if (!s.time || *s.time >= oldest) continue;
      if (passed != nullptr)
        passed->push_back({s, "is older than " + base::format_duration(max_age)});
      else if (dropped++ < most_notes)
        notes.push_back(s.name + " of " + base::format_time(*s.time) +
                        " is older than max_snapshot_age = " + base::format_duration(max_age));
      return true;
    }
    return false;
  });
  if (dropped > most_notes) notes.push_back(std::to_string(dropped - most_notes) + " more are older still");
}

// Files that may be too old, as nobody was asked how old they are.
void drop_unasked(std::vector<ports::candidate>& candidates, const std::set<std::string>& unasked,
                  std::vector<ports::passed_over>* passed) {
  std::erase_if(candidates, [&](const ports::candidate& c) {
    for (const auto& s : c.snapshots) {
      if (s.time || !unasked.contains(s.name)) continue;
      if (passed != nullptr)
        passed->push_back({s, "may be too old: its listing has no time, and the host told none"});
      return true;
    }
    return false;
  });
}

// What the plan's rule is held against. A log that cannot be read is no reason to lose the plan that keeps the node's
// own blocks: the node looks at it itself, and refuses at no greater loss than one more swap.
std::optional<block_span> log_of(const ports::worker_job& job, const model::recovery_plan& plan,
                                 std::vector<std::string>& notes) {
  const auto& within = plan.require.block_within;
  if (within.empty() || job.data_dir.empty()) return std::nullopt;
  auto log = read_block_log(job.data_dir + "/" + within);
  if (log) return *log;
  notes.push_back("which blocks " + within + " holds is not known: " + log.error().message +
                  "; snapshots of any block may be tried");
  return std::nullopt;
}

void drop_unfit(const ports::worker_job& job, const model::recovery_plan& plan,
                std::vector<ports::candidate>& candidates, std::vector<std::string>& notes,
                std::vector<ports::passed_over>* passed) {
  const auto log = log_of(job, plan, notes);
  std::size_t dropped = 0;
  std::erase_if(candidates, [&](const ports::candidate& c) {
    for (const auto& s : c.snapshots) {
      auto why = objection(plan.require, s, log);
      if (why.empty()) continue;
      if (job.plans.size() > 1) why += "; so it is not for plan \"" + plan.name + "\"";
      if (passed != nullptr)
        passed->push_back({s, why});
      else if (dropped < most_notes)
        notes.push_back(s.name + ": " + why);
      ++dropped;
      return true;
    }
    return false;
  });
  if (passed == nullptr && dropped > most_notes)
    notes.push_back("plan \"" + plan.name + "\" passes over " + std::to_string(dropped - most_notes) + " more");
}

// Files of a directory that nobody has described: what has no ending of an archive is somebody's README.
void drop_others(const std::string& source, std::vector<listed_file>& files,
                 std::vector<ports::passed_over>& passed) {
  std::erase_if(files, [&](const listed_file& f) {
    if (kind_of_name(f.name) != name_kind::snapshot || has_archive_ending(f.name)) return false;
    passed.push_back({snapshot_of(f, source, std::nullopt),
                      "does not match: its ending is not one of an archive or of compression"});
    return true;
  });
}

// A source that was listed, kept to be asked what proves its files.
struct listed_source {
  std::unique_ptr<remote_client> host;
  unsigned nth = 0;  // of its URL
  std::vector<listed_file> files;
  bool whole = false;
};

ports::snapshot_proof proof_of(const listed_source& at, const model::snapshot& s) {
  ports::snapshot_proof out;
  out.url = s.url;
  const auto shown = side_files_of(s.name, at.files);
  if (!s.sha256.empty() || !at.whole || shown.digest) {
    const auto said = expected_digest(*at.host, s);
    if (said && said->digest) out.digest = said->digest->text();
    if (said) out.disagree = said->disagree;
    out.unknown = !said || !said->denied.empty();
  }
  out.is_signed = shown.signature;
  if (!at.whole) {
    const auto text = signature_text(*at.host, s);
    out.is_signed = text && *text;
    out.unknown = out.unknown || !text;
  }
  return out;
}

// A host that shows no directory is asked for a dozen names a snapshot, so for fewer of them.
constexpr std::size_t proven_unlisted = 2;

void explain_proofs(const std::vector<listed_source>& sources,
                    const std::vector<std::vector<ports::candidate>>& plans, const job_control& control,
                    std::vector<ports::snapshot_proof>& out) {
  std::set<std::string> done;
  for (const auto& candidates : plans) {
    std::size_t nth = 0;
    for (const auto& c : candidates) {
      if (nth++ == refined_per_archive) break;
      for (const auto& s : c.snapshots) {
        const auto at = std::find_if(sources.begin(), sources.end(), [&](const auto& l) {
          return l.host->access().url == s.source && l.nth == s.source_nth;
        });
        if (at == sources.end() || control.cancelled() || !done.insert(s.url).second) continue;
        if (at->whole || nth <= proven_unlisted) out.push_back(proof_of(*at, s));
      }
    }
  }
}

// What a recovery would not have to fetch. What cannot be read is not at hand.
void look_into_cache(const ports::worker_job& job, ports::worker_result& out) {
  const base::unique_fd root(::open(job.data_dir.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!root) return;
  out.warm = warm_below(root.get());
  const auto own = open_beneath(root.get(), ".hasup", O_RDONLY | O_DIRECTORY);
  if (!own) return;
  for (const auto& c : out.candidates)
    for (const auto& s : c.snapshots)
      if (is_plain_relative(s.name) && !out.in_cache.contains(s.name))
        if (const auto seal = read_seal(own->get(), s.name); seal && *seal) out.in_cache[s.name] = (*seal)->sha256;
}

// What a manifest beside the file says comes out of it. One that cannot be read says nothing.
std::optional<std::uint64_t> unpacked_by_manifest(remote_client& host, const model::snapshot& s) {
  const auto dir = s.url.substr(0, s.url.rfind('/') + 1);
  std::string body;
  const auto answer = host.get(dir + "manifest.json", body);
  if (!answer || answer->status != 200) return std::nullopt;
  const auto manifest = parse_json_listing(body, dir);
  if (!manifest) return std::nullopt;
  for (const auto& file : *manifest)
    if (file.name == s.name && file.size == s.size) return file.unpacked;
  return std::nullopt;
}

// How large the file is that a person named.
outcome<void> look_at_file(remote_client& host, model::snapshot& s) {
  const asked_together once(host);
  const auto answer = host.look_at(s.url);
  if (!answer) return answer.error();
  if (is_passing(answer->status)) return failure{ports::worker_failure::unreachable, status_text(*answer)};
  if (answer->status != 200) return refusal(status_text(*answer));
  if (answer->content_type == local_directory_type)
    return refusal(file_source_path(s.url).value_or(s.url) + " is a directory, not an archive");
  s.size = answer->length;
  s.time = answer->time;
  s.unpacked = unpacked_by_manifest(host, s);
  return {};
}

ports::worker_result look_at_chosen(const ports::worker_job& job, job_control& control, patience p) {
  ports::worker_result out;
  out.candidates = {*job.chosen};
  for (auto& s : out.candidates.front().snapshots) {
    control.begin("select", s.name, without_password(s.source), std::nullopt);
    remote_client host(control, p, model::source(s.source));
    if (auto looked = look_at_file(host, s); !looked) return failed_result(looked.error());
  }
  return out;
}

}  // namespace

ports::worker_result select(const ports::worker_job& job, job_control& control, patience p) {
  if (job.chosen && job.plans.empty()) return look_at_chosen(job, control, p);
  ports::worker_result out;
  p.attempts = std::min(p.attempts, 3U);  // there are further sources to ask, and a recovery begins anew later
  std::vector<std::vector<ports::candidate>> by_plan(job.plans.size());
  std::vector<std::string> down;
  std::vector<listed_source> listed_ones;
  for (std::size_t at = 0; at < job.sources.size(); ++at) {
    const auto& source = job.sources[at];
    const auto nth = nth_of_its_url(job.sources, at);
    control.begin("select", "", without_password(source.url), std::nullopt);
    auto asked = std::make_unique<remote_client>(control, patience_for(source, p), source);
    auto& host = *asked;
    host.set_time_left(host.limits().longest);  // for its listing, exact sizes and proofs
    listing_scope scope{job.explain ? listed::everything : listed::snapshots};
    auto files = list_source(host, scope);
    if (control.cancelled()) {
      out.failure = ports::worker_failure::internal;
      out.error = "cancelled";
      return out;
    }
    if (!files) {
      down.push_back(files.error().message);
      out.notes.push_back(down.back());
      continue;
    }
    out.notes.insert(out.notes.end(), scope.notes.begin(), scope.notes.end());
    if (job.only_archives && scope.whole) drop_others(source.url, *files, out.passed);
    const auto unasked = refine_what_counts(host, job.plans, {job.max_age, job.explain}, *files, out.notes);
    if (host.time_left()->count() <= 0)
      out.notes.push_back(without_password(source.url) + " was asked no further when its patience of " +
                          base::format_duration(host.limits().longest) +
                          " was used up: sizes and times are those of its listing");
    for (unsigned i = 0; i < job.plans.size(); ++i) {
      auto found = plan_candidates(job.plans[i], i, source.url, *files, out.notes);
      if (job.max_age.count() > 0) drop_unasked(found, unasked, job.explain ? &out.passed : nullptr);
      for (auto& c : found)
        for (auto& s : c.snapshots) s.source_nth = nth;
      by_plan[i].insert(by_plan[i].end(), std::make_move_iterator(found.begin()),
                        std::make_move_iterator(found.end()));
    }
    if (!job.explain) {
      for (const auto& one : torn_files(job.plans, source.url, *files))
        out.notes.push_back(one.file.name + " of " + without_password(source.url) + " " + one.why);
      continue;
    }
    for (auto& one : passed_over_files(job.plans, source.url, *files)) out.passed.push_back(std::move(one));
    listed_ones.push_back({std::move(asked), nth, std::move(*files), scope.whole});
  }
  for (std::size_t i = 0; i < by_plan.size(); ++i) {
    merge_newest_first(by_plan[i], job.plans[i]);
    join_ways(by_plan[i]);
    find_mirrors(by_plan[i]);
    drop_old(by_plan[i], job.max_age, out.notes, job.explain ? &out.passed : nullptr);
    drop_unfit(job, job.plans[i], by_plan[i], out.notes, job.explain ? &out.passed : nullptr);
    out.candidates.insert(out.candidates.end(), by_plan[i].begin(), by_plan[i].end());
  }
  if (job.look_for_warm && !job.data_dir.empty()) look_into_cache(job, out);
  if (job.explain) explain_proofs(listed_ones, by_plan, control, out.proofs);
  if (job.sources.empty()) {
    out.failure = ports::worker_failure::refused;
    out.error = "the unit has no source for snapshots; set recovery.source";
  } else if (down.size() == job.sources.size()) {
    out.failure = ports::worker_failure::unreachable;
    for (const auto& reason : down) out.error += (out.error.empty() ? "" : "; ") + reason;
  }
  return out;
}

}  // namespace hasup::snapshot
