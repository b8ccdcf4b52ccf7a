#include "snapshot/fetch/fetch.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <thread>
#include <vector>

#include "snapshot/ahead_mark.hpp"
#include "snapshot/cache_seal.hpp"
#include "snapshot/data_tree.hpp"
#include "snapshot/fetch/ahead_feed.hpp"
#include "snapshot/fetch/download.hpp"
#include "snapshot/fetch/expected_digest.hpp"
#include "snapshot/fetch/part_file.hpp"
#include "snapshot/fetch/proof.hpp"
#include "snapshot/fetch/seeding.hpp"
#include "snapshot/fetch/select.hpp"
#include "snapshot/fetch/version_answer.hpp"
#include "snapshot/listing.hpp"
#include "snapshot/pace.hpp"
#include "snapshot/warm_file.hpp"

namespace hasup::snapshot {
namespace {

struct fetched {
  std::string sha256;
  std::string verified_by;  // "" = nothing
  std::uint64_t size = 0;
  std::uint64_t at_hand = 0;  // of it
  std::uint64_t came = 0;     // in this job, what was at hand with it
  proof by{};
};

class fetcher {
 public:
  fetcher(const ports::worker_job& job, job_control& control, const data_tree& tree, patience p,
          const download_options& options, ahead_feed& ahead, std::vector<std::string>& notes,
          std::vector<std::string>& damaged_at)
      : job_(job),
        control_(control),
        tree_(tree),
        patience_(p),
        options_(options),
        ahead_(ahead),
        notes_(notes),
        damaged_at_(damaged_at) {}

  // `archive`: its place in the plan.
  outcome<fetched> one(const model::snapshot& s, std::size_t archive);

 private:
  struct place {
    model::snapshot file;
    std::unique_ptr<remote_client> host;
  };
  void gather_places(const model::snapshot& s);
  outcome<proof> announced();
  std::vector<download_place> download_places(const proof& wanted);
  // Copies that are damaged where they are.
  struct damage {
    std::optional<failure> first;
    std::string further;  // of other places: what they have, or why they could not be asked
    bool own = false;     // the snapshot's own host has one
    void add(const std::string& url, bool of_own_host, const failure& f);
    [[nodiscard]] failure all() const;
    [[nodiscard]] failure with(const failure& last) const;
  };
  outcome<bool> leave_copy(std::vector<download_place>& where, const std::string& url, damage& found) const;
  outcome<std::optional<fetched>> settled(const model::snapshot& s, std::size_t archive);
  outcome<std::optional<fetched>> from_cache(const model::snapshot& s, const proof& wanted);
  outcome<bool> unchanged_on_host(const cache_seal& seal);
  outcome<void> seal(const model::snapshot& s, const proof& wanted, const std::string& digest,
                     const std::string& validator);

  const ports::worker_job& job_;
  job_control& control_;
  const data_tree& tree_;
  patience patience_;
  std::vector<place> places_;  // the snapshot's own first, then the mirrors
  const download_options& options_;
  ahead_feed& ahead_;
  std::vector<std::string>& notes_;  // for people, also when it fails
  std::vector<std::string>& damaged_at_;
  disk disk_;
};

outcome<fetched> fetcher::one(const model::snapshot& s, std::size_t archive) {
  if (!is_snapshot_name(s.name) || !is_plain_relative(s.name))
    return refusal("\"" + s.name + "\" is not a file name that can be cached");
  control_.begin("fetch", s.name, without_password(s.source), s.size);
  auto known = settled(s, archive);
  if (!known) return known.error();
  if (*known) {
    ahead_.in_cache();
    return std::move(**known);
  }
  gather_places(s);
  auto wanted = announced();
  if (!wanted) return wanted.error();
  auto cached = from_cache(s, *wanted);
  if (!cached) return cached.error();
  if (*cached) {
    ahead_.in_cache();
    if (!wanted->note.empty()) notes_.push_back(wanted->note);
    (*cached)->by = std::move(*wanted);
    return std::move(**cached);
  }
  if (auto room = ahead_.make_room(control_); !room) return room.error();

  part_file part(tree_, disk_, s.name, job_.min_free, wanted->kinds(), &ahead_);
  auto where = download_places(*wanted);
  digests actual;
  std::string validator;
  std::string own_size;
  std::string from;
  seeding seeds(job_, control_, tree_, s, archive);
  fetched out;
  damage damaged;
  for (bool again = false;;) {
    download_report report;
    auto options = options_;
    options.in_pieces = !again;
    options.max_rate = job_.max_rate;
    options.seeds = &seeds;
    if (wanted->digest) options.digest = wanted->digest->text();
    auto loaded = download_archive(where, control_, s, options, part, report);
    if (!loaded) return damaged.first ? damaged.with(loaded.error()) : loaded.error();
    ahead_.ended(part.bytes());
    control_.begin("verify", s.name, without_password(s.source), part.bytes(), part.bytes());
    auto hashed = part.digest(control_);
    if (!hashed) return hashed.error();
    actual = std::move(*hashed);
    validator = report.validator;
    own_size = report.own_size;
    from = report.from;
    if (report.seeded && part.seeds().bytes == 0)
      notes_.push_back("what was at hand of " + s.name + " was of no use: the host sent all of it");
    const auto fits = check(*wanted, s, actual, part.fd(), part.bytes());
    // Without any proof the host's own index is what tells a wrong join.
    const auto& indexed = part.seeds().archive;
    const bool joined = !wanted->empty() || part.seeds().bytes == 0 || actual.at(digest_kind::sha256) == indexed;
    if (fits && joined) break;
    if (!fits && fits.error().kind != ports::worker_failure::bad_snapshot) return fits.error();
    if (auto removed = part.remove(); !removed) return removed.error();
    if (fits || (report.resumed && !again)) {
      again = true;
      continue;
    }
    damaged.add(from, from == s.url, fits.error());
    for (const auto& p : places_)
      if (p.file.url == from) damaged_at_.push_back(p.file.source);
    auto left = leave_copy(where, from, damaged);
    if (!left) return left.error();
    if (!*left) return damaged.all();
    notes_.push_back("at " + without_password(from) + " " + fits.error().message + "; it is fetched from " +
                     without_password(where.front().url));
    again = false;
  }
  if (!own_size.empty())
    notes_.push_back("on its own host " + own_size + "; it is fetched from " + without_password(from));
  out.size = part.bytes();
  out.at_hand = part.seeds().bytes;
  out.came = part.written();
  if (!seeds.why().empty()) notes_.push_back(seeds.why());
  if (auto finished = part.finish(); !finished) return finished.error();
  const auto& sha256 = actual.at(digest_kind::sha256);
  if (auto sealed = seal(s, *wanted, sha256, validator); !sealed) return sealed.error();
  ahead_.whole();
  out.sha256 = sha256;
  out.verified_by = wanted->text();
  if (!wanted->note.empty()) notes_.push_back(wanted->note);
  out.by = std::move(*wanted);
  return out;
}

void fetcher::gather_places(const model::snapshot& s) {
  const auto add = [&](const model::snapshot& file) {
    auto access = source_of(job_.sources, file.source, file.source_nth);
    const auto p = patience_for(access, patience_);
    places_.push_back({file, std::make_unique<remote_client>(control_, p, std::move(access))});
  };
  add(s);
  for (const auto& m : s.mirrors) {
    auto file = s;
    file.url = m.url;
    file.source = m.source;
    file.sha256 = m.sha256;
    file.source_nth = m.source_nth;
    file.beside = m.beside;
    file.sha256_by = m.sha256_by;
    file.sha256_else.clear();
    file.digests = m.digests;
    file.digests_by = m.digests_by;
    add(file);
  }
}

// As the first place that can be reached says; that place becomes the first.
outcome<proof> fetcher::announced() {
  auto said = find_proof(*places_.front().host, places_.front().file, job_);
  for (std::size_t i = 1; !said && !control_.cancelled() && i < places_.size(); ++i) {
    if (said.error().kind != ports::worker_failure::unreachable) break;
    auto other = find_proof(*places_[i].host, places_[i].file, job_);
    if (!other) continue;
    std::rotate(places_.begin(), places_.begin() + static_cast<std::ptrdiff_t>(i), places_.end());
    return other;
  }
  return said;
}

// Without a checksum nothing tells whether a file of another host is the same; another way to the same host is none.
std::vector<download_place> fetcher::download_places(const proof& wanted) {
  std::vector<download_place> out;
  for (auto& p : places_) {
    if (!wanted.digest && p.file.url != places_.front().file.url) continue;
    download_place where{p.host.get(), p.file.url, {}};
    where.other_file = [&p, expected = wanted.digest]() -> outcome<std::string> {
      const auto theirs = expected_digest(*p.host, p.file);
      if (!theirs) return theirs.error();
      return std::string(theirs->digest == expected && theirs->disagree.empty()
                             ? ""
                             : "the file there has another checksum, or none");
    };
    out.push_back(std::move(where));
  }
  return out;
}

void fetcher::damage::add(const std::string& url, bool of_own_host, const failure& f) {
  const auto place = "at " + without_password(url) + " ";
  if (first)
    further += "; " + place + f.message;
  else
    first = failure{f.kind, (of_own_host ? "" : place) + f.message, f.snapshot};
  own = own || of_own_host;
}

// The snapshot is bad when its own host's copy is; while that could not be read, it may be whole.
failure fetcher::damage::all() const {
  return {own ? first->kind : ports::worker_failure::unreachable, first->message + further, first->snapshot};
}

// After the places that were left could not be loaded from either.
failure fetcher::damage::with(const failure& last) const {
  const bool bad = last.kind == ports::worker_failure::bad_snapshot;
  if (!bad && last.kind != ports::worker_failure::unreachable) return last;
  auto out = *this;
  out.own = own || bad;
  out.further += "; " + last.message;
  return out.all();
}

// A copy that is damaged at `url` may be whole at a further place that announces the same digest, which becomes the
// first; those that were given up before come last. False: there is none.
outcome<bool> fetcher::leave_copy(std::vector<download_place>& where, const std::string& url, damage& found) const {
  const auto here = std::find_if(where.begin(), where.end(), [&](const auto& p) { return p.url == url; });
  std::rotate(where.begin(), here, where.end());
  std::erase_if(where, [&](const download_place& p) { return p.url == url; });
  while (!where.empty()) {
    const auto other = where.front().other_file();
    if (control_.cancelled()) return cancelled();
    if (other && other->empty()) return true;
    found.further += "; " + without_password(where.front().url) + ": " + (other ? *other : other.error().message);
    where.erase(where.begin());
  }
  return false;
}

// What a prefetch verified, and nothing has changed since.
outcome<std::optional<fetched>> fetcher::settled(const model::snapshot& s, std::size_t archive) {
  const std::optional<fetched> none;
  if (archive >= job_.settled.size()) return none;
  auto sealed = read_seal(tree_.own(), s.name);
  if (!sealed) return sealed.error();
  if (!*sealed || (*sealed)->sha256 != job_.settled[archive]) return none;
  return std::optional<fetched>(fetched{(*sealed)->sha256, job_.settled_by, (*sealed)->size});
}

// A whole archive of that name: used when it fits what is announced, or, without anything, when the host says that
// the file is still the same. Otherwise it is replaced, but only when the new one is whole.
outcome<std::optional<fetched>> fetcher::from_cache(const model::snapshot& s, const proof& wanted) {
  const std::optional<fetched> none;
  auto there = look(tree_.own(), "cache/" + s.name);
  if (!there) return there.error();
  if (!*there || !(*there)->is_file()) return none;
  auto sealed = read_seal(tree_.own(), s.name);
  if (!sealed) return sealed.error();
  if (wanted.empty()) {
    if (!*sealed || (*sealed)->url != s.url) return none;
    auto same = unchanged_on_host(**sealed);
    if (!same) return same.error();
    return *same ? std::optional<fetched>(fetched{(*sealed)->sha256, "", (*there)->size}) : none;
  }
  if (*sealed && wanted.holds_for(**sealed))
    return std::optional<fetched>(fetched{(*sealed)->sha256, wanted.text(), (*there)->size});
  const bool other = *sealed && wanted.digest && wanted.digest->kind == digest_kind::sha256 &&
                     (*sealed)->sha256 != wanted.digest->hex;
  if (other) return none;
  control_.begin("verify", s.name, without_password(s.source), (*there)->size);
  auto fd = open_beneath(tree_.own(), "cache/" + s.name, O_RDONLY);
  if (!fd) return fd.error();
  auto actual = digests_of(fd->get(), wanted.kinds(), control_);
  if (!actual) return actual.error();
  if (auto fits = check(wanted, s, *actual, fd->get(), (*there)->size); !fits) {
    if (fits.error().kind == ports::worker_failure::bad_snapshot) return none;
    return fits.error();
  }
  const auto& sha256 = actual->at(digest_kind::sha256);
  if (auto written = seal(s, wanted, sha256, ""); !written) return written.error();
  return std::optional<fetched>(fetched{sha256, wanted.text(), (*there)->size});
}

outcome<bool> fetcher::unchanged_on_host(const cache_seal& sealed) {
  auto answer = places_.front().host->look_at(places_.front().file.url);
  if (!answer) return answer.error();
  return answer->status == 200 && answer->length == sealed.size && !sealed.validator.empty() &&
         sealed.validator == validator_of(*answer);
}

outcome<void> fetcher::seal(const model::snapshot& s, const proof& wanted, const std::string& digest,
                            const std::string& validator) {
  auto info = look(tree_.own(), "cache/" + s.name);
  if (!info) return info.error();
  if (!*info) return failure{ports::worker_failure::internal, "cache/" + s.name + " vanished"};
  return write_seal(tree_.own(), disk_, s.name,
                    {digest, (*info)->size, (*info)->modified_ns, (*info)->id.inode, s.url, validator,
                     wanted.digest ? wanted.digest->text() : "", wanted.signature ? wanted.public_key : ""});
}

}  // namespace

namespace {

// For the next recovery.
outcome<void> note_warm(const ports::worker_job& job, const data_tree& tree, const disk& d,
                        ports::worker_result& done) {
  auto warm = *job.prefetch;
  warm.sha256 = done.sha256;
  warm.verified = done.verified;
  warm.verified_by = done.verified_by;
  warm.public_key = job.public_key;
  warm.at = std::chrono::system_clock::now();
  warm.unpacked = done.unpacked_ahead;
  if (auto written = write_warm(tree.own(), d, warm); !written) return written;
  std::vector<std::string> names;
  for (const auto& s : job.chosen->snapshots) names.push_back(s.name);
  done.warm = std::move(warm);
  return keep_in_cache(tree.own(), d, names);
}

}  // namespace

ports::worker_result fetch(const ports::worker_job& job, job_control& control, patience p,
                           const download_options& options, ahead_link ahead) {
  ports::worker_result out;
  const auto fail = [&](const failure& f) {
    out.failure = f.kind;
    out.error = f.message;
    if (out.snapshot.empty()) out.snapshot = f.snapshot;
    return out;
  };
  if (!job.chosen || job.chosen->snapshots.empty()) return fail(refusal("the job names no snapshot to fetch"));
  const disk d;
  auto tree = data_tree::open_for_work(job.data_dir, d, control);
  if (!tree) return fail(tree.error());
  if (auto made = d.make_dir(tree->own(), "cache", 0700); !made) return fail(made.error());
  ahead_feed feed(std::move(ahead), *tree, d);
  const auto began = std::chrono::steady_clock::now();
  out.verified = true;
  for (std::size_t i = 0; i < job.chosen->snapshots.size(); ++i) {
    const auto& s = job.chosen->snapshots[i];
    feed.turn_to(i);
    std::vector<std::string> notes, damaged_at;
    auto one = fetcher(job, control, *tree, p, options, feed, notes, damaged_at).one(s, i);
    if (!one && feed.may_have_written()) {
      if (auto dropped = feed.drop(control); !dropped) {
        out.verified = false;
        return fail(dropped.error());
      }
      if (one.error().kind == ports::worker_failure::no_space) {
        notes.clear();
        damaged_at.clear();
        one = fetcher(job, control, *tree, p, options, feed, notes, damaged_at).one(s, i);
      }
    }
    out.notes.insert(out.notes.end(), notes.begin(), notes.end());
    if (!one) {
      out.verified = false;
      out.snapshot = one.error().kind == ports::worker_failure::internal ? "" : s.name;
      out.damaged_at = std::move(damaged_at);
      return fail(one.error());
    }
    out.sha256.push_back(one->sha256);
    out.verified = out.verified && !one->verified_by.empty();
    if (out.verified_by.find(one->verified_by) == std::string::npos)
      out.verified_by += (out.verified_by.empty() ? "" : ", ") + one->verified_by;
    out.bytes += one->size;
    out.at_hand += one->at_hand;
    out.work_bytes += one->came;
    if (job.keep_proof) one->by.keep_in(out);
  }
  if (auto unpacked = feed.wait_for_the_rest(*job.chosen, control); !unpacked) {
    out.verified = false;
    return fail(unpacked.error());
  }
  out.work_ms = milliseconds_since(began);
  auto mark = read_ahead_mark(tree->own());
  if (!mark) return fail(mark.error());
  out.unpacked_ahead = *mark && (*mark)->job == key_of(job);
  if (job.prefetch)
    if (auto noted = note_warm(job, *tree, d, out); !noted) return fail(noted.error());
  return out;
}

}  // namespace hasup::snapshot
