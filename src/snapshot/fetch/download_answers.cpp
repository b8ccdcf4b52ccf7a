// What a download makes of the answers and bytes of its transfers.
#include <algorithm>

#include "snapshot/fetch/curl_transfer.hpp"
#include "snapshot/fetch/download_run.hpp"
#include "snapshot/listing.hpp"

namespace hasup::snapshot {
namespace {

using clock = std::chrono::steady_clock;

}  // namespace

bool download_run::breaks(failure f) {
  if (!broken_) broken_ = std::move(f);
  return false;
}

// The file here is not the one that is announced. Where a digest tells which one is, another host may have it.
// Always false.
bool download_run::wrong_copy(failure f) {
  if (options_.digest.empty()) return breaks(std::move(f));
  forget("", false);
  here().give_up(f.message);
  if (place().url != snapshot_.url || own_) return false;
  own_ = std::move(f);
  own_at_ = at_;
  return false;
}

// False, with the reason in broken_ or in the host's last error, when there is no such file or no room for it.
bool download_run::set_total(std::uint64_t total) {
  if (snapshot_.size && *snapshot_.size != total) return wrong_copy(other_size(snapshot_, total));
  if (auto room = part_.reserve(total); !room) return breaks(room.error());
  total_ = total;
  control_.begin("fetch", snapshot_.name, without_password(snapshot_.source), total_, part_.bytes());
  return true;
}

// Everything that is here and under way is of no use any more. Always false.
bool download_run::forget(const std::string& why, bool changed) {
  for (auto& [id, l] : lanes_) l.dropped = true;
  if (changed)
    here().changed(why);
  else
    here().bears_ranges = origin::ranges::no;
  here().validator.clear();
  total_.reset();
  report_.resumed = several_ = false;
  if (auto fresh = part_.start_over(); !fresh) return breaks(fresh.error());
  return false;
}

bool download_run::begin(lane& l, const remote_answer& answer) {
  if (l.dropped || broken_) return false;
  std::optional<file_version> known;
  if (part_.bytes() > 0 || total_) known = file_version{here().validator, total_};
  const auto meaning = meaning_of(answer, l.asked_from, known);
  switch (meaning) {
    case answer_meaning::whole:
      return begin_whole(l, answer);
    case answer_meaning::piece:
      return begin_piece(l, answer);
    case answer_meaning::changed:
    case answer_meaning::shorter:
      if (at_ > 0 && here().validator.empty()) {  // a further host, whose file is not the one that is wanted
        l.dropped = true;
        here().give_up("the file there has another size");
        return false;
      }
      if (meaning == answer_meaning::shorter && l.span.first == 0)
        return wrong_copy(bad_snapshot(snapshot_.name, snapshot_.name + " is empty"));
      return forget("the file changed while it was read", true);
    case answer_meaning::wrong:
      return forget("the host answered a request for a range with \"" + answer.content_range + "\"", false);
    case answer_meaning::whole_is_here:
      l.done = true;
      return false;
    case answer_meaning::status:
      break;
  }
  return false;
}

bool download_run::begin_whole(lane& l, const remote_answer& answer) {
  const auto validator = validator_of(answer);
  const bool same = !validator.empty() && validator == here().validator;
  if (at_ > 0 && !options_.digest.empty() && total_ && answer.length && *answer.length != *total_) {
    l.dropped = true;
    here().give_up("the file there has another size");
    return false;
  }
  if (l.asked_from && (same || *l.asked_from == 0))
    here().bears_ranges = origin::ranges::no;  // it knows no ranges, or a proxy on the way does not
  else if (l.asked_from && !here().validator.empty())
    here().changed("the file changed while it was read");
  for (auto& [id, other] : lanes_) other.dropped = &other != &l;
  here().starts_whole("");
  if (part_.bytes() > 0)
    if (auto fresh = part_.start_over(); !fresh) return breaks(fresh.error());
  report_.resumed = several_ = false;
  here().validator = validator;
  total_.reset();
  l.span = {0, UINT64_MAX};
  l.at = 0;
  if (!answer.length) return true;
  if (!set_total(*answer.length)) return false;
  l.span.end = *total_;
  // The host offers ranges: this connection brings the first piece, further ones the rest.
  const bool offers = answer.accepts_ranges && here().bears_ranges != origin::ranges::no && here().allowed() > 1;
  if (!offers || comes_in_one_stream(place().url) || !may_join() || *total_ <= options_.piece) return true;
  here().bears_ranges = origin::ranges::yes;
  l.span.end = options_.piece;
  l.cut = true;
  return true;
}

bool download_run::begin_piece(lane& l, const remote_answer& answer) {
  const auto range = parse_content_range(answer.content_range);
  if (here().validator.empty()) here().validator = validator_of(answer);
  // Nothing tells one version from another: only in one go is it sure to be one.
  if (!may_join()) return forget("the host tells neither ETag nor Last-Modified", false);
  here().bears_ranges = origin::ranges::yes;
  if (!total_ && range->total && !set_total(*range->total)) return false;
  if (total_) l.span.end = std::min(l.span.end, *total_);
  return true;
}

bool download_run::data(lane& l, const char* bytes, std::size_t size) {
  if (l.dropped || broken_) return false;
  if (!total_ && snapshot_.size && l.at + size > *snapshot_.size)
    return wrong_copy(other_size(snapshot_, l.at + size));
  const auto used = static_cast<std::size_t>(std::min<std::uint64_t>(size, l.span.end - l.at));
  // What is here between two gaps was only asked for with them. It may be hashed already, so it stays as it is.
  for (auto at = l.at; at < l.at + used;) {
    if (const auto there = part_.have().covered_until(at)) {
      at = *there;
      continue;
    }
    const auto end = std::min(l.at + used, part_.have().next_after(at).value_or(UINT64_MAX));
    if (auto written = part_.write(at, bytes + (at - l.at), end - at); !written) return breaks(written.error());
    at = end;
  }
  l.at += used;
  l.brought += used;
  const auto now = clock::now();
  here().brought(used);
  pace_.add(used, now);
  control_.advance(part_.bytes());
  return used == size && !(l.cut && l.at == l.span.end);
}

outcome<void> download_run::settle(lane l, const remote_client::download_end& end) {
  if (l.done) {
    total_ = part_.prefix();
    return {};
  }
  if (l.at == l.span.end) return {};
  const auto status = end.answer.status;
  std::string why = end.error;
  if (why.empty() && status != 200 && status != 206) why = status_text(end.answer);
  if (why.empty() && !total_ && end.whole) {
    // Without a length the end of the connection looks like the end of the file: the listing knows better.
    if (!snapshot_.size || part_.prefix() >= *snapshot_.size) {
      total_ = part_.prefix();
      return total_ == 0U ? outcome<void>(bad_snapshot(snapshot_.name, snapshot_.name + " is empty"))
                          : outcome<void>();
    }
  }
  if (why.empty()) why = "the connection ended after " + std::to_string(part_.bytes()) + " bytes";
  const bool final_status = end.error.empty() && status != 200 && status != 206 && !is_passing(status);
  if (end.permanent || final_status) {
    here().give_up(why);
    return {};
  }
  std::chrono::milliseconds asked{0};
  if (end.answer.retry_after_s)
    asked = std::min(std::chrono::milliseconds(*end.answer.retry_after_s * 1000), place().host->limits().longest / 2);
  const auto others = static_cast<unsigned>(lanes_.size());
  here().failed(clock::now(), why, l.brought > 0, others,
                [&](unsigned n) { return std::max(asked, place().host->pause_before(n)); });
  return {};
}

}  // namespace hasup::snapshot
