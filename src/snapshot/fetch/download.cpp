#include "snapshot/fetch/download.hpp"

#include <algorithm>

#include "snapshot/fetch/curl_transfer.hpp"
#include "snapshot/fetch/download_run.hpp"
#include "snapshot/fetch/seeding.hpp"
#include "snapshot/listing.hpp"

namespace hasup::snapshot {
namespace {

using clock = std::chrono::steady_clock;
constexpr std::chrono::milliseconds longest_wait{100};  // so that a cancellation is seen

}  // namespace

bool comes_in_one_stream(const std::string& url) {
  return url.starts_with("sftp://") || file_source_path(url);
}

download_run::download_run(const std::vector<download_place>& places, job_control& control, const model::snapshot& s,
                           const download_options& options, part_file& part, download_report& report)
    : places_(places),
      control_(control),
      snapshot_(s),
      options_(options),
      part_(part),
      report_(report),
      pace_(options.max_rate) {
  for (const auto& p : places_)
    origins_.emplace_back(p.host->limits(), comes_in_one_stream(p.url) ? 1 : options_.connections,
                          file_source_path(p.url) ? "nothing came; its mount seems to hang" : "nothing came");
}

outcome<void> download_run::prepare() {
  std::optional<resume_note> found;
  const auto usable = [&](const resume_note& n) {
    if (snapshot_.size && n.total && *n.total != *snapshot_.size) return false;
    const bool same_digest = !options_.digest.empty() && n.digest == options_.digest && n.total;
    const bool same_version = n.url == place().url && !n.validator.empty();
    if (same_digest || same_version) found = n;
    return found.has_value();
  };
  if (auto opened = part_.open(usable); !opened) return opened;
  for (auto& o : origins_) o.begin();
  if (!options_.in_pieces) here().bears_ranges = origin::ranges::no;
  if (part_.bytes() > 0 && found) {
    total_ = found->total;
    report_.resumed = true;
    several_ = true;
    for (std::size_t i = 0; i < places_.size(); ++i)
      if (places_[i].url == found->url) origins_[i].validator = found->validator;
    if (found->url == place().url) several_ = false;
  }
  if (auto seeded = seed(); !seeded) return seeded;
  control_.begin("fetch", snapshot_.name, without_password(snapshot_.source), total_ ? total_ : snapshot_.size,
                 part_.bytes());
  const auto total = total_ ? total_ : snapshot_.size;
  return part_.reserve(total.value_or(0));
}

// Into the part goes what needs not be loaded; what goes on looks like what an earlier job has left.
outcome<void> download_run::seed() {
  if (options_.seeds == nullptr || !options_.in_pieces || part_.seeds().done) return {};
  const auto version = options_.seeds->prepare(*place().host, place().url, options_.digest);
  if (!version) return version.error();
  if (!*version) return {};
  auto& validator = here().validator;
  const bool other = (total_ && *total_ != (*version)->total) ||
                     (!validator.empty() && !(*version)->validator.empty() && validator != (*version)->validator);
  if (part_.bytes() > 0 && other) return {};  // the host's answer decides what becomes of that
  if (auto room = part_.reserve((*version)->total); !room) {
    if (snapshot_.size) return room;
    return {};  // only the index says how large it is, and may lie: what the host answers decides
  }
  total_ = (*version)->total;
  if (validator.empty()) validator = (*version)->validator;
  auto filled = options_.seeds->fill(part_, note());
  if (part_.bytes() > 0) {
    report_.seeded = part_.seeds().bytes > 0;
    report_.resumed = report_.resumed || report_.seeded;
    if (auto kept = part_.checkpoint_now(note()); filled && !kept) return kept;
  } else {
    total_.reset();
    validator.clear();
  }
  return filled;
}

outcome<void> download_run::run() {
  if (auto prepared = prepare(); !prepared) return prepared;
  auto done = loop();
  transfers_.stop_all();
  lanes_.clear();
  if (!done) {
    // What is here is kept for the next job, unless the disk itself is what fails.
    if (may_join() || several_)
      if (auto kept = part_.checkpoint_now(note()); !kept && done.error().kind != ports::worker_failure::no_space)
        return kept;
    return done;
  }
  if (control_.cancelled()) {  // before it is verified
    if (auto kept = part_.checkpoint_now(note()); !kept) return kept;
    return cancelled();
  }
  if (snapshot_.size && *snapshot_.size != part_.bytes()) return other_size(snapshot_, part_.bytes());
  if (part_.bytes() == 0) return bad_snapshot(snapshot_.name, snapshot_.name + " is empty");
  report_.from = place().url;
  if (own_) report_.own_size = own_->message;
  if (!several_ && place().url == places_.front().url) report_.validator = here().validator;
  return {};
}

outcome<void> download_run::loop() {
  while (!is_whole()) {
    if (control_.cancelled()) return cancelled();
    if (auto started = start_lanes(); !started) return started;
    auto longest = longest_wait;
    if (lanes_.empty())
      longest = std::clamp(std::chrono::ceil<std::chrono::milliseconds>(here().not_before() - clock::now()),
                           std::chrono::milliseconds(0), longest_wait);
    const auto owed = pace_.owed(clock::now());
    if (owed.count() > 0)
      longest = std::min(owed, longest);  // held meanwhile: the host sends no more than fits its window
    else
      transfers_.go_on();
    const auto from = clock::now();
    const auto ends = transfers_.wait(longest);
    // What writing to a busy disk takes is not the host's.
    if (owed.count() <= 0) here().waited(std::min<clock::duration>(clock::now() - from, 2 * longest_wait));
    if (broken_) return *broken_;
    for (const auto& [id, end] : ends) {
      const auto l = lanes_.at(id);
      lanes_.erase(id);
      if (l.dropped) continue;
      if (auto settled = settle(l, end); !settled) return settled;
      if (broken_) return *broken_;
      if (l.done) return {};
    }
    drop_all_but(nullptr);
    here().check();
    if (here().given_up() && !is_whole())
      if (auto next = next_place(); !next) return next;
    if (may_join())
      if (auto kept = part_.checkpoint(note()); !kept) return kept;
    control_.advance(part_.bytes());
  }
  return {};
}

// Ends the transfers of which a callback said that they are of no more use.
void download_run::drop_all_but(const lane* kept) {
  for (auto one = lanes_.begin(); one != lanes_.end();) {
    if (!one->second.dropped || &one->second == kept) {
      ++one;
      continue;
    }
    transfers_.stop(one->first);
    one = lanes_.erase(one);
  }
}

outcome<void> download_run::next_place() {
  for (auto& [id, l] : lanes_) l.dropped = true;
  drop_all_but(nullptr);
  if (may_join())
    if (auto kept = part_.checkpoint_now(note()); !kept) return kept;
  while (at_ + 1 < places_.size()) {
    const bool same_file = places_[at_ + 1].url == place().url;
    if (same_file) origins_[at_ + 1].validator = here().validator;
    ++at_;
    if (!options_.in_pieces) here().bears_ranges = origin::ranges::no;  // so that one host has sent all of it
    const auto other = place().other_file ? place().other_file() : outcome<std::string>(std::string());
    if (control_.cancelled()) return cancelled();
    here().begin();
    if (!other || !other->empty()) {
      here().give_up(other ? *other : other.error().message);
      continue;
    }
    if (!same_file) several_ = report_.resumed = part_.bytes() > 0;
    control_.begin("fetch", snapshot_.name, without_password(place().url), total_ ? total_ : snapshot_.size,
                   part_.bytes());
    return {};
  }
  return unreachable();
}

failure download_run::unreachable() const {
  auto out = own_.value_or(failure{ports::worker_failure::unreachable, "", snapshot_.name});
  for (std::size_t i = 0; i <= at_; ++i) {
    if (own_ && i == own_at_) continue;
    out.message +=
        (out.message.empty() ? "" : "; ") + without_password(places_[i].url) + ": " + origins_[i].last_error();
  }
  return out;
}

bool download_run::may_join() const {
  return !here().validator.empty() || !options_.digest.empty();
}

// With one connection nothing is gained by asking for a piece at a time.
std::uint64_t download_run::piece() const {
  return here().allowed() > 1 ? options_.piece : UINT64_MAX / 2;
}

// A request costs a round trip, of SFTP a whole new connection.
std::uint64_t download_run::join() const {
  return place().url.starts_with("sftp://") ? 4U << 20U : 64U << 10U;
}

resume_note download_run::note() const {
  return {place().url, here().validator, total_, options_.digest, {}, {}};
}

outcome<void> download_run::start_lanes() {
  if (clock::now() < here().not_before() || here().given_up()) return {};
  if (!total_ || here().bears_ranges != origin::ranges::yes) return lanes_.empty() ? start_first() : outcome<void>();
  byte_spans asked;
  for (const auto& [id, l] : lanes_) asked.add({l.at, l.span.end});
  while (lanes_.size() < here().allowed() && !here().given_up()) {
    const auto gap = next_gap(part_.have(), asked, *total_, piece(), join());
    if (!gap) return {};
    asked.add(*gap);
    if (auto started = start(*gap, true); !started) return started;
  }
  return {};
}

// One transfer only, until it is known whether the host bears ranges.
outcome<void> download_run::start_first() {
  const bool tries_ranges = here().bears_ranges != origin::ranges::no;
  if (part_.bytes() > 0 && may_join() && tries_ranges) {
    const auto gap = total_ ? next_gap(part_.have(), {}, *total_, piece(), join()) : std::nullopt;
    return start(gap ? *gap : byte_span{part_.prefix(), UINT64_MAX}, true);
  }
  if (part_.bytes() > 0)
    if (auto fresh = part_.start_over(); !fresh) return fresh;
  total_.reset();
  several_ = false;
  const bool big = snapshot_.size && *snapshot_.size > options_.piece && !comes_in_one_stream(place().url);
  if (big && tries_ranges && here().allowed() > 1) return start({0, options_.piece}, true);
  return start({0, UINT64_MAX}, false);
}

outcome<void> download_run::start(byte_span span, bool ranged) {
  std::optional<remote_client::range> range;
  if (ranged) {
    range = remote_client::range{span.first, {}, here().validator};
    if (span.end != UINT64_MAX) range->end = span.end;
  }
  const auto id = ++last_id_;
  auto& l = lanes_[id];
  l.span = span;
  l.at = span.first;
  if (ranged) l.asked_from = span.first;
  remote_client::download to;
  to.begin = [this, &l](const remote_answer& answer) { return begin(l, answer); };
  to.hold = [this] { return pace_.owed(clock::now()).count() > 0; };
  to.data = [this, &l](const char* bytes, std::size_t size) { return data(l, bytes, size); };
  auto transfer = place().host->open(place().url, range, std::move(to));
  if (!transfer) {  // another place may do
    lanes_.erase(id);
    if (transfer.error().kind != ports::worker_failure::unreachable) return transfer.error();
    here().give_up(transfer.error().message);
    return {};
  }
  (*transfer)->set_buffer(pace_.buffer_size(here().allowed()));
  transfers_.start(id, std::move(*transfer));
  return {};
}

outcome<void> download_archive(const std::vector<download_place>& places, job_control& control,
                               const model::snapshot& s, const download_options& options, part_file& part,
                               download_report& report) {
  return download_run(places, control, s, options, part, report).run();
}

failure other_size(const model::snapshot& s, std::uint64_t actual) {
  const auto text =
      s.name + " was announced with " + std::to_string(*s.size) + " bytes, but has " + std::to_string(actual);
  // A manifest is a promise about the content; a listing only shows a moment, and an upload may go on.
  if (!s.sha256.empty() || !s.digests.empty())
    return bad_snapshot(s.name, text + "; the archive is damaged or was replaced");
  return {ports::worker_failure::unreachable, text + "; it changed since it was listed", s.name};
}

}  // namespace hasup::snapshot
