// The journal of a unit's recovery: what it holds, and what becomes of a recovery when it cannot be read or written.
#include <fmt/format.h>

#include "daemon/unit_runner.hpp"
#include "recovery/progress.hpp"

namespace hasup::daemon {
namespace {

constexpr std::chrono::seconds journal_retry_after{5};

}  // namespace

base::result<recovery::progress> unit_runner::journaled() const {
  if (!journal_error_.empty()) return base::error{journal_error_};
  return recovery::replay(journal_records_);
}

std::string unit_runner::journal_trouble() const {
  if (pid_ == 0 || !journal_is_damaged() || recovery_active()) return {};
  return fmt::format(
      "the journal of its last recovery cannot be read ({}): it runs on, and is neither started again nor recovered "
      "before a person has looked; `hasup recover {}` stops it, keeps the file aside and begins anew",
      journaled().error().message, shown_name(unit_));
}

// What kept it from being read may be gone.
void unit_runner::read_journal_again() {
  awaits_journal_ = true;
  journal_->read_all([weak = weak_from_this()](const base::result<std::vector<std::string>>& records) {
    const auto self = weak.lock();
    if (!self || !std::exchange(self->awaits_journal_, false)) return;
    if (records) {
      self->journal_error_.clear();
      self->journal_records_ = *records;
      return self->resume_recovery_now();
    }
    self->journal_error_ = records.error().message;
    const auto name = shown_name(self->unit_);
    self->make_recovery();
    self->finished(recovery_outcome::stuck,
                   fmt::format("the journal of the recovery cannot be read: {}; `hasup start {}` reads it again, "
                               "`hasup recover {}` sets it aside and begins anew",
                               self->journal_error_, name, name));
  });
}

void unit_runner::begin_without_journal(recovery_options options) {
  awaits_journal_ = true;
  make_recovery();
  journal_->set_aside([weak = weak_from_this(), options = std::move(options)](const base::result<std::string>& kept) {
    const auto self = weak.lock();
    if (!self || !std::exchange(self->awaits_journal_, false)) return;
    if (!kept)
      return self->finished(recovery_outcome::stuck,
                            "the damaged journal of the last recovery cannot be set aside: " + kept.error().message +
                                "; once that is mended, `hasup recover " + shown_name(self->unit_) + "`");
    self->journal_error_.clear();
    self->journal_records_.clear();
    self->parked_ = false;
    if (!kept->empty()) self->publish("journal_set_aside", "the damaged journal is kept as " + *kept);
    self->recovery_->begin("the journal of the last recovery cannot be understood; beginning anew, as asked by hand",
                           options);
  });
}

// Nothing may go on before the record is durable, so a full or failing disk is waited for.
void unit_runner::retry_journal(const base::error& e, std::function<void()> again) {
  if (std::exchange(journal_told_, e.message) != e.message)
    publish("journal_failed", "cannot write the recovery journal: " + e.message + "; trying again");
  if (ends_without_journal_) return abandon_recovery();
  journal_retry_ = std::move(again);
  journal_timer_.expires_after(journal_retry_after);
  journal_timer_.async_wait([weak = weak_from_this()](const boost::system::error_code& ec) {
    const auto self = weak.lock();
    if (!ec && self && self->journal_retry_) std::exchange(self->journal_retry_, {})();
  });
}

// A person wants the unit down, or the recovery to end: it is written once more, and not waited for.
void unit_runner::end_without_journal() {
  ends_without_journal_ = recovery_active();
  if (!ends_without_journal_ || !journal_retry_) return;
  journal_timer_.cancel();
  std::exchange(journal_retry_, {})();
}

// As if hasupd had been killed here: what the journal holds is where the next start goes on. Where that is before the
// first touch there is nothing to go on with, and its file goes as soon as it can.
void unit_runner::abandon_recovery() {
  const auto done = journaled();
  const bool is_touched = !done || done->touched();
  recovery_memory_ = recovery_->memory();
  const auto stands_at = stands_at_;
  auto called_off = std::move(called_off_);
  worker_.cancel();
  node_timer_.cancel();
  make_recovery();
  stands_at_ = stands_at;
  called_off_ = std::move(called_off);
  if (is_touched) {
    finished(recovery_outcome::parked, "stopped, while its journal could not be written (" + journal_told_ +
                                           "); `hasup start " + shown_name(unit_) + "` goes on with the recovery");
    // The unit machine stops the node, which was to be left alive rather than killed.
    const bool wanted_down = memory_.desired == model::desired::down;
    if (recovery_no_kill_ && wanted_down) dispatch(unit::stop_wanted{true, "stopped by hand", false});
    return;
  }
  journal_clear([] {});
  journal_records_.clear();
  const bool was_there = done->was_rolled_back;
  finished(recovery_outcome::cancelled, !was_there ? "stopped before anything was touched"
                                        : done->inexact.empty()
                                            ? "stopped; the old state is back as it was"
                                            : "stopped; the old state is back, but " + done->inexact);
}

void unit_runner::journal(std::string record, std::function<void()> then) {
  // Whatever an earlier recovery has left there is not this one's.
  if (std::exchange(journal_anew_, false))
    return journal_clear([weak = weak_from_this(), record, then] {
      if (const auto self = weak.lock()) self->journal(record, then);
    });
  journal_->append(record, [weak = weak_from_this(), record, then](const base::result<void>& done) {
    const auto self = weak.lock();
    if (!self) return;
    if (done) {
      self->journal_told_.clear();
      self->journal_records_.push_back(record);
      return then();
    }
    self->retry_journal(done.error(), [weak, record, then] {
      if (const auto s = weak.lock()) s->journal(record, then);
    });
  });
}

// With its journal nothing would tell the next hasupd that there was this recovery, so it is counted before that
// goes, and by its last swap only once.
bool unit_runner::count_recovery() {
  const auto done = journaled();
  if (!done || done->at != recovery::mark::confirmed || done->swaps.empty()) return false;
  ends_counted_ = true;
  if (std::exchange(counted_, done->swaps.back()) == done->swaps.back()) return false;
  ++memory_.recoveries;
  return true;
}

void unit_runner::journal_clear(std::function<void()> then) {
  if (count_recovery())
    return host_.when_saved([weak = weak_from_this(), ticket = recovery_ticket_, then] {
      const auto self = weak.lock();
      if (self && ticket == self->recovery_ticket_) self->journal_clear(then);
    });
  parked_ = false;
  // Where nobody waits for it any more, the next recovery replaces what is left.
  journal_->clear([weak = weak_from_this(), ticket = recovery_ticket_, then](const base::result<void>& done) {
    const auto self = weak.lock();
    if (!self || ticket != self->recovery_ticket_) return;
    if (done) {
      self->journal_told_.clear();
      self->journal_records_.clear();
      return then();
    }
    self->retry_journal(done.error(), [weak, then] {
      if (const auto s = weak.lock()) s->journal_clear(then);
    });
  });
}

}  // namespace hasup::daemon
