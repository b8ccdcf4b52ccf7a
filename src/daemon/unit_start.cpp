// The way to a start: account and environment on the disk thread, the state of the data directories by a worker.
#include <fmt/format.h>

#include "base/byte_size.hpp"
#include "daemon/data_look.hpp"
#include "daemon/disk_thread.hpp"
#include "daemon/hook_run.hpp"
#include "daemon/unit_runner.hpp"
#include "recovery/data_look.hpp"
#include "unit/first_state.hpp"

namespace hasup::daemon {
namespace {

constexpr std::chrono::seconds mount_retry_after{2};

// A worker that was killed, or could not be run, has found nothing, neither good nor bad.
std::optional<unit::prepared> unseen(const std::string& what, const ports::worker_result& r) {
  if (r.answered) return std::nullopt;
  return unit::prepared{unit::prepared::verdict::unseen, what + ": " + r.error + "; tried again by itself"};
}

}  // namespace

void unit_runner::on(const unit::prepare&) {
  stop_waits_for_prepare_ = false;
  when_alone([this, ticket = ++prepare_ticket_] {
    if (ticket == prepare_ticket_) prepare(ticket);
  });
}

void unit_runner::prepare(std::uint64_t ticket) {
  take_endpoints();
  if (launch_) {
    if (auto again = launch_again(*launch_, unit_, services_.cgroup)) {
      launch_ = std::move(*again);
      return prepare_data(ticket);
    }
  }
  auto found = std::make_shared<base::result<launch>>(base::error{});
  services_.disk.run(
      [found, unit = unit_, cgroups = services_.cgroup] { *found = prepare_launch(unit, cgroups); },
      [weak = weak_from_this(), found, ticket] {
        const auto self = weak.lock();
        if (!self || ticket != self->prepare_ticket_) return;
        if (!*found) return self->dispatch(unit::prepared{unit::prepared::verdict::refused, found->error().message});
        self->launch_ = std::move(**found);
        self->prepare_data(ticket);
      });
}

void unit_runner::prepare_data(std::uint64_t ticket) {
  if (unit_.has_data())
    check_data(ticket);
  else
    make_directories(ticket);
}

void unit_runner::on(const unit::cancel_prepare&) {
  ++prepare_ticket_;
  stop_waits_for_prepare_ = state() == model::unit_state::stopping;
  worker_.cancel();
  const auto all = earlier_hooks_;
  for (const auto& h : all)
    if (h->name() == "pre_start") end_earlier_hook(h);
  prepare_ended();
}

void unit_runner::tell_when_worker_ends() {
  if (!worker_.busy() || stop_waits_for_prepare_) return;
  worker_.when_free([weak = weak_from_this()] {
    if (const auto self = weak.lock()) self->host_.changed(*self);
  });
}

// Once nothing of a cancelled start is left, the stop that waits for it is done.
void unit_runner::prepare_ended() {
  if (!stop_waits_for_prepare_) return;
  if (worker_.busy())
    return worker_.when_free([weak = weak_from_this()] {
      if (const auto self = weak.lock()) self->prepare_ended();
    });
  for (const auto& h : earlier_hooks_)
    if (h->name() == "pre_start") return;  // its end comes here
  stop_waits_for_prepare_ = false;
  dispatch(unit::tree_emptied{});
}

ports::worker_job unit_runner::inspect_job() const {
  ports::worker_job job;
  job.mode = ports::worker_mode::inspect;
  job.data_dir = unit_.data.dir;
  job.also = unit_.data.also;
  job.mounts = unit_.data.mounts;
  if (recipe_) {
    job.locks = recipe_->locks;
    job.must_exist = recipe_->must_exist;
  }
  return job;
}

void unit_runner::check_data(std::uint64_t ticket) {
  auto job = inspect_job();
  job.tolerated = host_.reader_pids(unit_.id);
  // Back after a crash: a worker without a shim, that need not look at every process. What a hasupd before this one
  // has left behind under the worker's shim is ended by the first look, which takes that way.
  if (comes_back() && !worker_.busy()) {
    job.seen_free = true;
    services_.look.ask(job, [weak = weak_from_this(), ticket](const ports::worker_result& r) {
      if (const auto self = weak.lock()) self->inspected(ticket, r);
    });
    return;
  }
  // The sources are being asked for a person, by the worker: a unit that waits looks again beside that.
  if (dry_running_) {
    services_.look.ask(job, [weak = weak_from_this(), ticket](const ports::worker_result& r) {
      if (const auto self = weak.lock()) self->inspected(ticket, r);
    });
    return;
  }
  process::account root;
  root.own = true;  // only the daemon's user sees every process's files
  worker_.run(std::move(job), root, {}, [weak = weak_from_this(), ticket](const ports::worker_result& r) {
    if (const auto self = weak.lock()) self->inspected(ticket, r);
  });
}

// Since a look found these very directories free, this unit has run and nothing else was done with them.
bool unit_runner::comes_back() const {
  return !seen_free_.empty() && seen_free_ == data_dirs_of(unit_);
}

void unit_runner::inspected(std::uint64_t ticket, const ports::worker_result& r) {
  note_device(r);
  if (ticket != prepare_ticket_) return;
  seen_free_.clear();
  if (r.ok() && r.swap_phase == "confirmed" && r.mounted && !r.writer) return clean_up_confirmed(ticket);
  if (waits_for_data(r)) return;
  auto verdict = judge(r);
  if (verdict.is == unit::prepared::verdict::ready) {
    data_device_ = r.device;
    seen_free_ = data_dirs_of(unit_);
    if (std::exchange(emptied_, false)) host_.release_readers(unit_.id);  // somebody has put a state there
    return make_directories(ticket);
  }
  // What is only kept in case is the first to go; the next try of the start is soon.
  if (verdict.is == unit::prepared::verdict::not_yet && r.mounted && r.least_free.empty() &&
      r.free_bytes < unit::space_to_start(unit_.data.min_free, stopped_for_space_))
    drop_prefetched(verdict.why);
  dispatch(std::move(verdict));
}

// Neither a start nor a recovery by itself where its volume is only not mounted yet, which data.mount may not say.
bool unit_runner::waits_for_data(const ports::worker_result& r) {
  const bool nothing = r.ok() && r.mounted && !r.half_swapped && (!r.data_dir_exists || r.data_dir_empty);
  const bool missing = ever_started_ && nothing && unit::on_another_disk(r.device, data_device_);
  if (!missing) {
    data_missing_ = false;
    return false;
  }
  const auto why = unit::volume_missing(unit_);
  if (!std::exchange(data_missing_, true)) publish("data_missing", why);
  dispatch(unit::prepared{unit::prepared::verdict::not_yet, why});
  return true;
}

// The journal of a recovery that was confirmed is gone, and its swap.json is not: only the deletion of the old state
// was not finished. The state is looked at once more after it.
void unit_runner::clean_up_confirmed(std::uint64_t ticket) {
  publish("recovery_leftover", "a recovery was confirmed and its journal is gone; deleting what it had replaced");
  auto job = inspect_job();
  job.mode = ports::worker_mode::clean_up;
  const auto still_wanted = [weak = weak_from_this(), ticket] {
    const auto self = weak.lock();
    return self && ticket == self->prepare_ticket_;
  };
  start_worker(
      std::move(job), false, {},
      [weak = weak_from_this(), ticket](const ports::worker_result& r) {
        const auto self = weak.lock();
        if (!self || ticket != self->prepare_ticket_) return;
        if (r.ok()) return self->check_data(ticket);
        auto refused = unseen("what a confirmed recovery had replaced could not be deleted", r);
        self->dispatch(
            refused ? std::move(*refused)
                    : unit::prepared{unit::prepared::verdict::refused,
                                     "what a confirmed recovery had replaced cannot be deleted: " + r.error +
                                         "; once that is mended, `hasup start " + shown_name(self->unit_) + "`"});
      },
      still_wanted);
}

// After a reboot the volume may come late: what stands below its mount point is not the node's data.
void unit_runner::look_for_mount() {
  auto job = inspect_job();
  job.seen_free = true;
  services_.look.ask(job, [weak = weak_from_this()](const ports::worker_result& r) {
    const auto self = weak.lock();
    if (!self || !self->waits_for_mount_) return;
    if (r.mounted && r.failure != ports::worker_failure::internal) {
      self->waits_for_mount_ = false;
      return self->resume_recovery_now();
    }
    const auto why = recovery::why_not_mounted(self->unit_.data.dir, r) + "; the recovery waits for it";
    if (self->memory_.reason != why) self->report("recovery_waiting", why);
    self->journal_timer_.expires_after(mount_retry_after);
    self->journal_timer_.async_wait([weak](const boost::system::error_code& ec) {
      if (const auto s = weak.lock(); !ec && s && s->waits_for_mount_) s->look_for_mount();
    });
  });
}

// Hours may have gone by since the swap, or the last run: the node of a recovery is not started either beside another
// one, on a volume that is not there, or on a full disk. Until then it waits, and may be stopped or rolled back.
void unit_runner::look_before_first_start() {
  auto job = inspect_job();
  job.tolerated = host_.reader_pids(unit_.id);
  job.seen_free = data_seen_free_;
  start_look_ = ++start_looks_;
  services_.look.ask(job, [weak = weak_from_this(), look = start_look_](const ports::worker_result& r) {
    const auto self = weak.lock();
    if (self && self->first_start_ && self->start_look_ == look) self->looked_before_first_start(r);
  });
}

void unit_runner::looked_before_first_start(const ports::worker_result& r) {
  const auto why = recovery_->why_start_waits(r, unit::space_to_start(unit_.data.min_free, stopped_for_space_));
  data_seen_free_ = r.ok();
  if (why.empty()) {
    start_look_ = 0;
    data_device_ = r.device;
    stopped_for_space_ = false;
    space_.clear();
    const auto append = std::move(*std::exchange(first_start_, std::nullopt));
    first_start(append);
    return recovery_->on_start_waited(std::chrono::duration_cast<base::duration>(now() - first_start_asked_at_));
  }
  const auto told = why + "; the start waits for it";
  if (memory_.reason != told) report("recovery_waiting", told);
  first_start_timer_.expires_after(mount_retry_after);
  first_start_timer_.async_wait([weak = weak_from_this(), look = start_look_](const boost::system::error_code& ec) {
    const auto self = weak.lock();
    if (ec || !self || !self->first_start_ || self->start_look_ != look) return;
    self->start_look_ = 0;
    self->look_at_requirements();
  });
}

// Only now: not on an empty mount point, and not in the place of data that has to be there.
void unit_runner::make_directories(std::uint64_t ticket) {
  if (unit_.run.create_directories.empty()) return prepare_list(ticket);
  ports::worker_job job;
  job.mode = ports::worker_mode::make_directories;
  job.directories = unit_.run.create_directories;
  job.uid = launch_->account.uid;
  job.gid = launch_->account.gid;
  job.groups = launch_->account.groups;
  job.user = launch_->account.name;
  job.data_dir = unit_.data.dir;
  job.also = unit_.data.also;
  job.mounts = unit_.data.mounts;
  job.may_make_data = !ever_started_ || from_nothing_;
  process::account root;
  root.own = true;
  worker_.run(std::move(job), root, {}, [weak = weak_from_this(), ticket](const ports::worker_result& r) {
    const auto self = weak.lock();
    if (!self || ticket != self->prepare_ticket_) return;
    for (const auto& path : r.made) self->publish("directory_made", "made " + path + ", as [run] asks for");
    using verdict = unit::prepared::verdict;
    if (auto again = unseen("the directories of [run] could not be made", r))
      return self->dispatch(std::move(*again));
    if (!r.mounted)
      return self->dispatch(
          unit::prepared{verdict::not_yet, recovery::why_not_mounted(self->unit_.data.dir, r) + "; waiting for it"});
    if (!r.ok()) return self->dispatch(unit::prepared{verdict::refused, r.error});
    self->prepare_list(ticket);
  });
}

// Never two processes on one state, never a start from nothing, never a start from a half-swapped state.
unit::prepared unit_runner::judge(const ports::worker_result& r) const {
  using verdict = unit::prepared::verdict;
  if (auto again = unseen(unit_.data.dir + " could not be inspected", r)) return std::move(*again);
  if (!r.ok() && r.failure != ports::worker_failure::writer)
    return {verdict::refused, "cannot inspect " + unit_.data.dir + ": " + r.error};
  if (!r.mounted) return {verdict::not_yet, recovery::why_not_mounted(unit_.data.dir, r) + "; waiting for it"};
  if (r.writer) {
    return {
        verdict::refused,
        fmt::format(
            "{} is already open by pid {} ({}, {}); stop that process, then `hasup start {}`, or take it over as it "
            "runs: `hasup start {} --adopt`",
            unit_.data.dir, r.writer->pid, r.writer->command, r.writer->path, shown_name(unit_), shown_name(unit_))};
  }
  if (r.half_swapped && r.swap_phase != "confirmed")
    return {verdict::needs_recovery,
            "a recovery left " + unit_.data.dir + " half restored; it must be finished first"};
  const auto needed = unit::space_to_start(unit_.data.min_free, stopped_for_space_);
  if (r.free_bytes < needed) {
    return {verdict::not_yet,
            fmt::format("only {} free under {}, min_free is {}; waiting for {}", base::format_byte_size(r.free_bytes),
                        r.least_free_under(unit_.data.dir), base::format_byte_size(unit_.data.min_free),
                        base::format_byte_size(needed))};
  }
  if (!recipe_ || from_nothing_) return {};
  return unit::judge_state(unit_, *recipe_, ever_started_, {r.data_dir_exists, r.data_dir_empty, r.missing});
}

}  // namespace hasup::daemon
