#include "snapshot/send/send.hpp"

#include <chrono>
#include <functional>
#include <map>

#include "snapshot/fetch/s3_access.hpp"
#include "snapshot/listing.hpp"
#include "snapshot/pack_stream.hpp"
#include "snapshot/publication.hpp"
#include "snapshot/send/part_plan.hpp"
#include "snapshot/send/remote_place.hpp"

namespace hasup::snapshot {
namespace {

class sending {
 public:
  sending(const ports::create_order& order, remote_place& to, const job_control& control)
      : order_(order), to_(to), control_(control) {}

  outcome<ports::worker_result> run(int packed) {
    if (auto free = name_is_free(); !free) return free.error();
    if (auto readable = manifest_is_readable(); !readable) return readable.error();
    if (auto begun = to_.begin(); !begun) {
      to_.abandon();
      return begun.error();
    }
    auto sent = all_of(packed);
    if (!published_) to_.abandon();
    return sent;
  }

 private:
  outcome<ports::worker_result> all_of(int packed) {
    auto end = read_packed(
        packed, [this](std::string_view bytes) { return take(bytes); }, [this] { return control_.cancelled(); });
    if (!end) return end.error();
    auto& made = end->made;
    if (!made.ok()) return std::move(made);
    if (auto last = send_piece(); !last) return last.error();
    made.url = to_.url();
    if (auto published = publish(made, std::move(end->index)); !published) return published.error();
    return std::move(made);
  }

  outcome<void> take(std::string_view bytes) {
    while (!bytes.empty()) {
      const auto n = std::min<std::uint64_t>(bytes.size(), piece_size(number_) - piece_.size());
      piece_.append(bytes.data(), n);
      bytes.remove_prefix(n);
      if (piece_.size() == piece_size(number_))
        if (auto sent = send_piece(); !sent) return sent;
    }
    return {};
  }

  outcome<void> send_piece() {
    if (piece_.empty()) return {};
    if (number_ > most_pieces) return refusal("the archive is too large for one object of the store");
    if (auto sent = to_.piece(number_, sent_, piece_); !sent) return sent;
    sent_ += piece_.size();
    ++number_;
    piece_.clear();
    return {};
  }

  outcome<void> publish(const ports::worker_result& made, std::string index) {
    if (made.bytes != sent_)
      return failure{ports::worker_failure::internal, "what was packed did not all arrive to be sent"};
    if (auto free = name_is_free(); !free) return free;
    // Nobody is to see an archive without its checksum, nor a row of an archive that is not there. What is replaced
    // has its own checksum until the new one's is there: from then on its readers refuse it, and load nothing
    // unverified. The other way about they would refuse the new one, and remember that.
    const auto beside = side_files_of(made, std::move(index));
    const auto stale = stale_side_files(made);
    const auto before = look_at_earlier(beside, stale);
    if (!before) return before.error();
    if (auto done = publish_with(beside, stale, made.bytes); !done) return undone(done.error(), beside, *before);
    published_ = true;
    const auto row = row_of(order_, made, std::chrono::system_clock::now());
    auto listed = edit_manifest([&](const std::string& text) -> base::result<std::optional<std::string>> {
      auto with = manifest_with(text, row);
      if (!with) return with.error();
      return std::optional<std::string>(std::move(*with));
    });
    return listed || is_listed(row) ? outcome<void>{} : without_row(listed.error());
  }

  // The connection may have broken, or the job been cancelled, when the row was there already.
  bool is_listed(const manifest_row& row) {
    std::optional<remote_place::time_to_clean_up> goes_on;
    if (control_.cancelled()) goes_on.emplace(to_);
    const auto text = to_.text_of(manifest_name);
    if (!text || !*text) return false;
    const auto with = manifest_with(**text, row);
    return with && *with == **text;
  }

  // An archive that is to be replaced, as far as it has to be as before when that fails.
  struct earlier {
    bool is_there = false;
    std::map<std::string, std::string> texts;
  };

  [[nodiscard]] failure undone(failure why, const std::vector<side_file>& beside, const earlier& before) {
    bool whole = !control_.cancelled() && all_as_before(beside, before);
    if (!whole && control_.cancelled()) {
      const remote_place::time_to_clean_up goes_on(to_);
      whole = all_as_before(beside, before);
    }
    if (whole) return why;
    if (control_.cancelled())
      why.message = to_.url() + " was being published: some of the files beside it may be left";
    if (before.is_there)
      why.message += "; what was there cannot be restored from until it is run again";
    else if (control_.cancelled())
      why.message += "; run it again";
    return why;
  }

  // First what makes its readers refuse it.
  bool all_as_before(const std::vector<side_file>& beside, const earlier& before) {
    bool whole = true;
    for (const auto& [name, text] : before.texts)
      if (name != manifest_name) whole = to_.put(name, text) && whole;
    for (const auto& side : beside)
      if (!before.texts.contains(side.name)) whole = to_.remove(side.name) && whole;
    const auto rows = before.texts.find(manifest_name);
    if (rows == before.texts.end()) return whole;
    // What others have put into the manifest meanwhile stays.
    return edit_manifest(
               [&](const std::string& text) { return manifest_as_before(text, rows->second, order_.name); }) &&
           whole;
  }

  [[nodiscard]] failure without_row(failure why) const {
    const auto how = control_.cancelled() ? std::string() : " (" + why.message + ")";
    why.message = to_.url() + " is there; only its row in manifest.json is missing" + how +
                  "; with --force another run makes both anew";
    return why;
  }

  outcome<earlier> look_at_earlier(const std::vector<side_file>& beside, const std::vector<std::string>& stale) {
    earlier out;
    if (!order_.replace) return out;
    auto there = to_.has(order_.name);
    if (!there) return there.error();
    out.is_there = *there;
    for (const auto& name : texts_to_keep(beside, stale)) {
      auto text = to_.text_of(name);
      if (!text) return text.error();
      if (*text) out.texts[name] = std::move(**text);
    }
    return out;
  }

  outcome<void> publish_with(const std::vector<side_file>& beside, const std::vector<std::string>& stale,
                             std::uint64_t size) {
    for (const auto& side : beside)
      if (auto put = to_.put(side.name, side.text); !put) return put;
    if (auto forgotten = forget_row(); !forgotten) return forgotten;
    for (const auto& name : stale)
      if (auto removed = to_.remove(name); !removed) return removed;
    return to_.publish(size);
  }

  outcome<void> name_is_free() {
    if (order_.replace) return {};
    auto there = to_.has(order_.name);
    if (!there) return there.error();
    if (*there) return refusal(to_.url() + " is there already; --force replaces it, --name says another");
    return {};
  }

  // Before hours of packing.
  outcome<void> manifest_is_readable() {
    auto text = to_.text_of(manifest_name);
    if (!text) return text.error();
    const auto readable = manifest_without(text->value_or(""), order_.name);
    return readable ? outcome<void>{} : no_manifest(readable.error());
  }

  outcome<void> edit_manifest(
      const std::function<base::result<std::optional<std::string>>(const std::string&)>& how) {
    return to_.edit(manifest_name, [&](const std::string& text) -> outcome<std::optional<std::string>> {
      auto changed = how(text);
      if (!changed) return no_manifest(changed.error());
      return std::move(*changed);
    });
  }

  [[nodiscard]] failure no_manifest(const base::error& why) const {
    return refusal(without_password(order_.target.url) + ": " + why.message);
  }

  // Of an archive of the same name, whose checksum is not that of the new one.
  outcome<void> forget_row() {
    return edit_manifest([this](const std::string& text) { return manifest_without(text, order_.name); });
  }

  const ports::create_order& order_;
  remote_place& to_;
  const job_control& control_;
  std::string piece_;
  unsigned number_ = 1;
  std::uint64_t sent_ = 0;
  bool published_ = false;
};

}  // namespace

ports::worker_result send(const ports::worker_job& job, job_control& control, int packed, patience p) {
  const auto& order = job.create;
  const auto borne = patience_for(order.target, p);
  auto place = order.target.url.starts_with("s3://") ? open_s3_place(order, control, borne)
                                                     : open_sftp_place(order, control, borne);
  if (!place) return failed_result(place.error());
  auto made = sending(order, **place, control).run(packed);
  return made ? std::move(*made) : failed_result(made.error());
}

bounds send_bounds(const ports::worker_job& job, const std::string& home) {
  bounds b;
  b.network = true;
  b.write = answer_directories(job);
  b.read = files_of_access(job.create.target, home);
  return b;
}

}  // namespace hasup::snapshot
