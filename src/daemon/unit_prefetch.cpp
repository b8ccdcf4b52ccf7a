// [recovery] prefetch: while the node runs and nothing else is done with its data, the worker keeps the newest
// snapshot at hand. Whatever else needs the worker takes it; what was fetched until then stays, and is gone on with.
//
//   running ── a while ──> look (measure, select) ──> recovery::plan_prefetch ──> fetch ──> warm.json
//                            ^──────────────────────────── every ─────────────────────────────┘
#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>

#include "base/byte_size.hpp"
#include "daemon/unit_runner.hpp"
#include "probe/lane.hpp"
#include "recovery/candidates.hpp"
#include "recovery/freeze.hpp"
#include "recovery/prefetch.hpp"
#include "recovery/space_plan.hpp"

namespace hasup::daemon {
namespace {

// A node that has just started has better use for the disk.
constexpr base::duration after_a_start{30'000};
constexpr base::duration longest_drop{10'000};

}  // namespace

bool unit_runner::may_prefetch() const {
  return unit_.recovery.prefetch && recipe_ && unit_.has_recovery() && state() == model::unit_state::running &&
         pid_ != 0 && !maintenance_ && !parked_ && !recovery_active() && host_.disk_taken_by(*this).empty();
}

bool unit_runner::busy_with_others() const {
  return worker_.busy() && !(prefetch_ && prefetch_->busy);
}

// After each change of the unit: begins, goes on or ends as may_prefetch() says.
void unit_runner::follow_prefetch() {
  if (!may_prefetch()) {
    if (!prefetch_ || prefetch_->dropping) return;
    prefetch_->timer.cancel();
    prefetch_->due.reset();
    if (recovery_active()) prefetch_->have.reset();  // it may use it up: looked at again after it
    // A recovery's first job, or a start's, ends it all the same.
    if (prefetch_->let_go() && !recovery_active()) {
      worker_.cancel();
      if (const auto other = host_.disk_taken_by(*this); !other.empty())
        publish("prefetch_paused", "the recovery of " + other + " has the disk first; gone on with after it");
    }
    if (!unit_.recovery.prefetch) prefetch_.reset();
    return;
  }
  if (!prefetch_) prefetch_ = std::make_unique<prefetching>(services_.loop);
  if (!prefetch_->busy && !prefetch_->due) prefetch_in(std::min(unit_.recovery.prefetch->every, after_a_start));
}

void unit_runner::prefetch_in(base::duration after) {
  prefetch_->due = wall_now() + after;
  prefetch_->timer.expires_after(after);
  prefetch_->timer.async_wait([weak = weak_from_this()](const boost::system::error_code& ec) {
    const auto self = weak.lock();
    if (ec || !self || !self->prefetch_ || !self->prefetch_->due) return;
    self->prefetch_->due.reset();
    if (self->may_prefetch()) self->look_for_snapshots();
  });
}

void unit_runner::run_prefetch(ports::worker_job job, std::function<void(const ports::worker_result&)> then) {
  prefetch_->busy = true;
  prefetch_->progress = {};
  job.background = true;
  const auto is_current = [weak = weak_from_this(), ticket = ++prefetch_->ticket]() -> std::shared_ptr<unit_runner> {
    const auto self = weak.lock();
    return self && self->prefetch_ && self->prefetch_->ticket == ticket ? self : nullptr;
  };
  start_worker(
      std::move(job), false,
      [is_current](const ports::worker_progress& p) {
        if (const auto self = is_current()) self->prefetch_->progress = p;
      },
      [is_current, then = std::move(then)](const ports::worker_result& r) {
        const auto self = is_current();
        if (!self) return;
        self->prefetch_->busy = false;
        then(r);
      },
      // Who needed the worker meanwhile has it.
      [is_current] {
        const auto self = is_current();
        if (!self || !self->worker_.busy()) return self != nullptr;
        self->put_prefetch_off();
        return false;
      });
}

// Something else has the worker: gone on with later.
void unit_runner::put_prefetch_off() {
  if (!prefetch_ || !prefetch_->busy) return;
  prefetch_->let_go();
  if (std::exchange(prefetch_->dropping, false)) prefetch_->dropped = false;
  if (may_prefetch()) prefetch_in(after_a_start);
}

void unit_runner::look_for_snapshots() {
  if (worker_.busy() || dry_running_) return prefetch_in(after_a_start);
  const auto plan = recovery::freeze(unit_, *recipe_, "prefetch", {});
  auto measure = recovery::job_of(plan, ports::worker_mode::measure);
  measure.look_for_warm = true;
  run_prefetch(std::move(measure), [this, plan](const ports::worker_result& measured) {
    if (!measured.ok() || !measured.room)
      return prefetch_problem("what is on the disk cannot be seen: " + measured.error);
    prefetch_->have = measured.warm;
    note_device(measured);
    if (!may_prefetch()) return follow_prefetch();  // somebody else's recovery is at work on that disk
    run_prefetch(recovery::job_of(plan, ports::worker_mode::select),
                 [this, plan, measured](const auto& listed) { choose_prefetch(plan, measured, listed); });
  });
}

void unit_runner::choose_prefetch(const recovery::frozen& plan, const ports::worker_result& measured,
                                  const ports::worker_result& listed) {
  auto room = *measured.room;
  host_.add_promised(unit_.id, room);
  auto next = recovery::plan_prefetch(plan, recovery_memory_, measured.warm, room, listed.candidates,
                                      unit_.recovery.prefetch->max_size, wall_now());
  using kind = recovery::prefetch_plan::kind;
  // What is here can be made ready without a source.
  if (!listed.ok() && next.what != kind::unpack) return prefetch_problem("no source can be reached: " + listed.error);
  if (next.what == kind::nothing) {
    if (next.is_problem) return prefetch_problem(next.why);
    prefetch_->problem.clear();
    return prefetch_in(unit_.recovery.prefetch->every);
  }
  if (next.what == kind::drop) {
    drop_prefetched(next.why);
    return;
  }
  prefetch_->fetching = recovery::name_of(*next.job.chosen);
  prefetch_->need = recovery::space_need_of(*next.job.chosen, next.job.plan, room);
  if (!next.job.unpack_ahead && next.job.mode == ports::worker_mode::fetch) prefetch_->need->unpacked = 0;
  prefetch_->need->rebuilt = 0;
  prefetch_->device = room.device;
  publish("prefetch_began", next.why);
  auto job = next.job;
  run_prefetch(std::move(next.job), [this, job = std::move(job)](const auto& r) { prefetch_ended(job, r); });
}

void unit_runner::prefetch_ended(const ports::worker_job& job, const ports::worker_result& r) {
  const auto name = std::exchange(prefetch_->fetching, {});
  prefetch_->need.reset();
  if (r.ok()) {
    prefetch_->dropped = false;
    prefetch_->problem.clear();
    recovery::note_pace(recovery_memory_.measured, job.mode, r, wall_now());
    host_.changed(*this);
    if (job.mode == ports::worker_mode::unpack) {
      prefetch_->have = job.prefetch;
      prefetch_->have->unpacked = true;
      publish("prefetched", fmt::format("{} is unpacked for a recovery ({})", name, base::format_byte_size(r.bytes)));
    } else {
      prefetch_->have = r.warm;
      publish("prefetched",
              fmt::format("{} is at hand for a recovery ({}, {}{})", name, base::format_byte_size(r.bytes),
                          r.verified ? r.verified_by + " verified" : "no checksum to verify with",
                          r.warm && r.warm->unpacked ? ", unpacked" : ""));
    }
    return prefetch_in(unit_.recovery.prefetch->every);
  }
  if (r.failure != ports::worker_failure::bad_snapshot) {
    recovery::remember_bad_mirrors(recovery_memory_, *job.chosen, r);
    if (!r.damaged_at.empty()) host_.changed(*this);
    return prefetch_problem(name + ": " + r.error);
  }
  recovery::remember_as_bad(recovery_memory_, *job.chosen, {});
  host_.changed(*this);
  prefetch_problem(name + " is not good, and remembered as bad: " + r.error);
}

// Of one that goes on beyond its swap nothing is measured any more. The disk may be a mount that hangs.
void unit_runner::find_device() {
  if (device_ != 0) return;
  if (!file_lane_) file_lane_ = std::make_unique<probe::lane>(services_.loop);
  file_lane_->run([weak = weak_from_this(), dir = unit_.data.dir]() -> probe::lane::answer {
    struct stat st {};
    if (::stat(dir.c_str(), &st) != 0) return [] {};
    return [weak, device = static_cast<std::uint64_t>(st.st_dev)] {
      const auto self = weak.lock();
      if (!self || self->device_ != 0) return;
      self->device_ = device;
      self->host_.changed(*self);
    };
  });
}

void unit_runner::note_device(const ports::worker_result& r) {
  if (r.room && r.room->device != 0) device_ = r.room->device;
  if (r.device != 0) device_ = r.device;
}

// Told once, however often it is met.
void unit_runner::prefetch_problem(std::string why) {
  if (why != prefetch_->problem) publish("prefetch_problem", why);
  prefetch_->problem = std::move(why);
  prefetch_in(unit_.recovery.prefetch->every);
}

// False: there is nothing to drop, or a recovery has it.
bool unit_runner::drop_prefetched(const std::string& why) {
  if (!unit_.recovery.prefetch || !recipe_ || recovery_active() || parked_ || busy_with_others()) return false;
  if (!prefetch_) prefetch_ = std::make_unique<prefetching>(services_.loop);
  // While it is being deleted nobody is stopped for want of it; not for ever.
  if (prefetch_->dropping) return now() - prefetch_->dropping_since < longest_drop;
  if (prefetch_->dropped) return false;
  prefetch_->dropped = prefetch_->dropping = true;
  prefetch_->dropping_since = now();
  prefetch_->have.reset();
  prefetch_->fetching.clear();
  prefetch_->timer.cancel();
  prefetch_->due.reset();
  publish("prefetch_dropped", "what was fetched beforehand is deleted: " + why);
  run_prefetch(recovery::job_of(recovery::freeze(unit_, *recipe_, "prefetch", {}), ports::worker_mode::drop_warm),
               [this](const ports::worker_result& r) {
                 prefetch_->dropping = false;
                 if (!r.ok())
                   publish("prefetch_problem", "what was fetched beforehand cannot be deleted: " + r.error);
                 if (may_prefetch()) prefetch_in(unit_.recovery.prefetch->every);
               });
  return true;
}

std::optional<recovery::room_promised> unit_runner::prefetch_takes() const {
  if (!prefetch_ || !prefetch_->need) return std::nullopt;
  return recovery::room_promised{prefetch_->device, recovery::still_to_write(*prefetch_->need, prefetch_->progress)};
}

std::optional<control::prefetch_status> unit_runner::prefetch_view() const {
  if (!prefetch_) return std::nullopt;
  const auto& p = *prefetch_;
  control::prefetch_status s;
  if (p.have && !p.have->candidates.empty()) {
    s.snapshot = recovery::name_of(p.have->candidates.front());
    s.unpacked = p.have->unpacked;
    for (const auto& one : p.have->candidates.front().snapshots) s.time = one.time;
  }
  s.fetching = p.fetching;
  if (!p.fetching.empty()) {
    s.bytes_done = p.progress.bytes_done;
    s.bytes_total = p.progress.bytes_total;
    s.bytes_per_s = p.progress.bytes_per_s;
  }
  s.problem = p.problem;
  if (const auto other = host_.disk_taken_by(*this); !other.empty() && state() == model::unit_state::running)
    s.problem = "paused during the recovery of " + other + ", which is on the same disk";
  s.next_look_at = p.due;
  return s;
}

}  // namespace hasup::daemon
