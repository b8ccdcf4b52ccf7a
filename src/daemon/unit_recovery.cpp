// The unit runner as the host of its recovery: workers, the node's first start, the journal, timers.
#include <fmt/format.h>

#include <csignal>

#include "daemon/disk_thread.hpp"
#include "daemon/unit_runner.hpp"

namespace hasup::daemon {
namespace {

constexpr std::chrono::seconds journal_retry_after{5};

}  // namespace

void unit_runner::make_recovery() {
  recovery_ = std::make_unique<recovery_runner>(static_cast<recovery_host&>(*this),
                                                recovery_settings{recovery_memory_, [this] {
                                                                    recovery_memory_ = recovery_->memory();
                                                                    host_.changed(*this);
                                                                  }});
}

bool unit_runner::recovery_active() const {
  return recovery_ && recovery_->active();
}

void unit_runner::on(const unit::begin_recovery& a) {
  make_recovery();
  recovery_->begin(a.why, std::exchange(recovery_options_, std::nullopt).value_or(recovery_options{}));
}

void unit_runner::on(const unit::resume_recovery&) {
  make_recovery();
  parked_ = false;
  const bool node_running = pid_ != 0;
  recovery_->resume(journal_records_, node_running);
  if (node_running && recovery_active()) start_recovery_probes();
}

void unit_runner::on(const unit::stop_recovery& a) {
  if (recovery_) recovery_->stop(a.force);
}

void unit_runner::on(const unit::approve_recovery&) {
  if (recovery_) recovery_->approve();
}

void unit_runner::cancel_recovery() {
  if (recovery_) recovery_->cancel();
}

void unit_runner::run_worker(ports::worker_job job) {
  job.data_dir = unit_.data.dir;
  job.also = unit_.data.also;
  job.mount = unit_.data.mount;
  job.locks = recipe_->locks;
  job.keep = recipe_->keep;
  job.min_free = unit_.data.min_free;
  job.checksum = unit_.recovery.checksum;
  job.sources = unit_.recovery.sources;
  job.max_age = unit_.recovery.max_snapshot_age;
  if (job.plans.empty()) job.plans = recipe_->plans;
  const bool as_daemon = job.mode == ports::worker_mode::inspect;
  const auto start = [this, job = std::move(job)](const process::account& as) {
    worker_.run(
        job, as,
        [this](const ports::worker_progress& p) {
          if (recovery_) recovery_->on_worker_progress(p);
        },
        [this](ports::worker_result r) {
          if (recovery_) recovery_->on_worker_done(std::move(r));
        });
  };
  process::account own;
  own.own = true;
  if (as_daemon || unit_.run.user.empty()) return start(own);
  // The name may have changed its number since the last start; asked on the disk thread.
  auto found = std::make_shared<base::result<launch>>(base::error{});
  services_.disk.run([found, unit = unit_] { *found = prepare_launch(unit); },
                     [weak = weak_from_this(), found, start] {
                       const auto self = weak.lock();
                       if (!self || !self->recovery_) return;
                       if (!*found) {
                         ports::worker_result r;
                         r.failure = ports::worker_failure::refused;
                         r.error = found->error().message;
                         return self->recovery_->on_worker_done(std::move(r));
                       }
                       self->launch_ = std::move(**found);
                       start(self->launch_->account);
                     });
}

void unit_runner::cancel_worker() {
  worker_.cancel();
}

void unit_runner::quiesce() {
  // After a crash of hasupd an old node may still run here.
  if (shim_ && shim_->connected() && shim_->status().tree_alive) {
    quiescing_ = true;
    signal_stop();
    node_timer_.expires_after(unit_.run.stop_timeout);
    node_timer_.async_wait([this](const boost::system::error_code& ec) {
      if (!ec && shim_) shim_->signal(SIGKILL, true);
    });
    return;
  }
  host_.stop_readers(unit_.id, [weak = weak_from_this()] {
    if (const auto self = weak.lock(); self && self->recovery_active()) self->recovery_->on_quiesced();
  });
}

void unit_runner::release_readers() {
  host_.release_readers(unit_.id);
}

void unit_runner::start_node(std::vector<std::string> append) {
  if (shim_ && shim_->connected() && shim_->status().tree_alive && pid_ != 0) {  // it ran on without hasupd
    recovery_->on_node_started();
    return start_recovery_probes();
  }
  auto found = std::make_shared<base::result<launch>>(base::error{});
  services_.disk.run([found, unit = unit_] { *found = prepare_launch(unit); },
                     [weak = weak_from_this(), found, append = std::move(append)] {
                       const auto self = weak.lock();
                       if (!self || !self->recovery_) return;
                       if (!*found) return self->spawn_refused(0, found->error().message);
                       self->launch_ = std::move(**found);
                       self->spawn_with(append);
                     });
}

void unit_runner::stop_node() {
  if (pid_ == 0) return;
  signal_stop();
  node_timer_.expires_after(unit_.run.stop_timeout);
  node_timer_.async_wait([this](const boost::system::error_code& ec) {
    if (ec || !shim_) return;
    memory_.killed = true;
    publish("killed", "SIGKILL after " + base::format_duration(unit_.run.stop_timeout) + " without an end");
    shim_->signal(SIGKILL, true);
  });
}

// Nothing may go on before the record is durable, so a full or failing disk is waited for.
void unit_runner::retry_journal(const base::error& e, std::function<void()> again) {
  publish("journal_failed", "cannot write the recovery journal: " + e.message + "; trying again");
  journal_timer_.expires_after(journal_retry_after);
  journal_timer_.async_wait([again = std::move(again)](const boost::system::error_code& ec) {
    if (!ec) again();
  });
}

void unit_runner::journal(std::string record, std::function<void()> then) {
  journal_->append(record, [weak = weak_from_this(), record, then](const base::result<void>& done) {
    const auto self = weak.lock();
    if (!self) return;
    if (done) return then();
    self->retry_journal(done.error(), [weak, record, then] {
      if (const auto s = weak.lock()) s->journal(record, then);
    });
  });
}

void unit_runner::journal_clear(std::function<void()> then) {
  journal_records_.clear();
  parked_ = false;
  journal_->clear([weak = weak_from_this(), then](const base::result<void>& done) {
    const auto self = weak.lock();
    if (!self) return;
    if (done) return then();
    self->retry_journal(done.error(), [weak, then] {
      if (const auto s = weak.lock()) s->journal_clear(then);
    });
  });
}

void unit_runner::report(std::string kind, std::string reason) {
  memory_.reason = reason;
  publish(kind, reason);
  host_.changed(*this);
}

void unit_runner::show_progress(const ports::worker_progress&, const std::string&) {
}  // status asks recovery_->view()

void unit_runner::finished(recovery_outcome outcome, std::string reason) {
  using unit::recovery_ended;
  const auto is = [&] {
    switch (outcome) {
      case recovery_outcome::recovered:
        return recovery_ended::outcome::recovered;
      case recovery_outcome::rolled_back:
      case recovery_outcome::refused:
        return recovery_ended::outcome::failed;
      case recovery_outcome::cancelled:
        return recovery_ended::outcome::stopped;
      case recovery_outcome::parked:
        return recovery_ended::outcome::stopped;
      case recovery_outcome::asking:
        return recovery_ended::outcome::asking;
      case recovery_outcome::stuck:
        return recovery_ended::outcome::failed;
    }
    return recovery_ended::outcome::failed;
  }();
  recovery_memory_ = recovery_->memory();
  recovery_timer_.cancel();
  // Queued at once: an exit of the node that comes next is for the unit machine, after this.
  dispatch(recovery_ended{is, std::move(reason)});
  if (outcome == recovery_outcome::asking) return;
  if (outcome != recovery_outcome::parked && outcome != recovery_outcome::stuck)
    return host_.release_readers(unit_.id);
  // The data may be half swapped: its readers stay down, and the next start goes on from the journal.
  parked_ = true;
  journal_->read_all([weak = weak_from_this()](const base::result<std::vector<std::string>>& records) {
    if (const auto self = weak.lock(); self && records) self->journal_records_ = *records;
  });
}

bool unit_runner::dry_run(recovery_options options, std::function<void(base::result<std::string>)> then) {
  if (recovery_active() || worker_.busy()) return false;
  make_recovery();
  return recovery_->dry_run(std::move(options), std::move(then));
}

base::mono_time unit_runner::now() const {
  return std::chrono::steady_clock::now();
}
base::wall_time unit_runner::wall_now() const {
  return std::chrono::system_clock::now();
}

void unit_runner::start_timer(base::duration after) {
  recovery_timer_.expires_after(after);
  recovery_timer_.async_wait([weak = weak_from_this()](const boost::system::error_code& ec) {
    const auto self = weak.lock();
    if (!ec && self && self->recovery_) self->recovery_->on_timer();
  });
}

void unit_runner::cancel_timer() {
  recovery_timer_.cancel();
}

}  // namespace hasup::daemon
