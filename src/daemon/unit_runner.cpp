#include "daemon/unit_runner.hpp"

#include <algorithm>
#include <boost/asio/post.hpp>
#include <utility>

#include "daemon/disk_thread.hpp"
#include "daemon/hook_run.hpp"
#include "daemon/reference_watch.hpp"
#include "probe/lane.hpp"
#include "recovery/candidates.hpp"
#include "recovery/progress.hpp"

namespace hasup::daemon {

unit_runner::unit_runner(unit_host& host, daemon_services& services, model::unit unit,
                         std::optional<model::recipe> recipe, std::string effective_toml)
    : host_(host),
      services_(services),
      unit_(std::move(unit)),
      recipe_(std::move(recipe)),
      effective_toml_(std::move(effective_toml)),
      since_(std::chrono::system_clock::now()),
      health_since_(since_),
      random_(static_cast<std::uint32_t>(since_.time_since_epoch().count()) ^
              static_cast<std::uint32_t>(std::hash<std::string>{}(to_text(unit_.id)))),
      timer_(services.loop),
      shim_timer_(services.loop),
      worker_(services, to_text(unit_.id)),
      room_timer_(services.loop),
      recovery_timer_(services.loop),
      node_timer_(services.loop),
      first_start_timer_(services.loop),
      journal_timer_(services.loop) {
  journal_ = std::make_unique<journal::file_journal>(services_.dirs.state + "/journals/" + to_text(unit_.id),
                                                     services_.disk.executor(), services_.loop.get_executor());
}

unit_runner::~unit_runner() = default;

void unit_runner::restore(instance_intent was, base::result<std::vector<std::string>> records) {
  unit_ = with_endpoints(unit_, was.endpoints);
  own_endpoints_ = std::move(was.own_endpoints);
  memory_.desired = was.desired;
  memory_.starts = std::move(was.starts);
  memory_.backoff_step = was.backoff_step;
  memory_.failed_starts = was.failed_starts;
  memory_.stuck_restarts = was.stuck_restarts;
  memory_.stuck_at = was.stuck_at;
  memory_.restarts = was.restarts;
  memory_.recoveries = was.recoveries;
  counted_ = was.counted;
  memory_.killed = was.killed;
  memory_.exit = std::move(was.exit);
  if (!was.reason.empty()) memory_.reason = std::move(was.reason);
  memory_.startup_passed = was.startup_passed;
  if (was.startup_passed) post_started_run_ = was.run;
  if (was.failed) memory_.now = unit::failed{was.recover_why, false};
  interrupted_ = std::move(was.stop);
  back_after_boot_ = was.back_after_boot;
  if (was.completed) memory_.now = unit::completed{};
  // Counted, but nobody knows whether it came to a run: the run itself tells, or the start that is tried again.
  if (was.starting && !memory_.starts.empty()) memory_.starts.pop_back();
  start_was_counted_ = was.starting;
  if (was.backoff) {
    const auto left = std::chrono::duration_cast<base::duration>(was.backoff->until - wall_now());
    const auto delay = std::clamp(left, base::duration{0}, was.backoff->was.delay);  // clocks are set
    memory_.now = std::move(was.backoff->was);
    on(unit::start_timer{unit::timer::backoff, delay});
    if (delay == left) next_attempt_at_ = was.backoff->until;
  }
  ever_started_ = was.ever_started;
  run_ = was.run;
  running_fingerprint_ = was.fingerprint;
  running_settings_ = was.settings;
  running_by_names_ = was.by_names;
  running_hosts_ = std::move(was.hosts);
  once_ = std::move(was.once);
  from_nothing_ = was.from_nothing;
  taken_down_by = std::move(was.taken_down_by);
  recovery_memory_.swaps = std::move(was.swaps);
  recovery_memory_.bad = std::move(was.bad_snapshots);
  recovery_memory_.measured = std::move(was.measured);
  recovery_memory_.forgiven = was.forgiven;
  emptied_ = was.emptied;
  data_device_ = was.data_device;
  if (records)
    journal_records_ = std::move(*records);
  else
    journal_error_ = records.error().message;
  parked_ = has_journal();
  if (was.failed && !was.recover_why.empty()) dispatch(unit::timer_fired{unit::timer::recover_again});
}

instance_intent unit_runner::intent() const {
  instance_intent out;
  out.desired = memory_.desired;
  out.reason = memory_.reason;
  out.starts = memory_.starts;
  out.backoff_step = memory_.backoff_step;
  out.failed_starts = memory_.failed_starts;
  out.stuck_restarts = memory_.stuck_restarts;
  out.stuck_at = memory_.stuck_at;
  out.endpoints = unit_.endpoints;
  out.own_endpoints = own_endpoints_;
  out.restarts = memory_.restarts;
  out.recoveries = memory_.recoveries;
  out.counted = counted_;
  out.killed = memory_.killed;
  if (const auto* failed = std::get_if<unit::failed>(&memory_.now)) {
    out.failed = true;
    out.recover_why = failed->recover_why;
  }
  out.back_after_boot = back_after_boot_ && memory_.desired == model::desired::down;
  if (const auto* s = std::get_if<unit::stopping>(&memory_.now)) {
    out.stop = *s;
  } else if (recovery_has_node() && recovery_no_kill_) {
    out.stop.emplace();
    out.stop->no_kill = true;
    out.stop->why = "stopped by hand";
  } else {
    out.stop = interrupted_;
  }
  if (const auto* b = std::get_if<unit::backoff>(&memory_.now))
    out.backoff = {next_attempt_at_.value_or(wall_now()), *b};
  if (const auto* s = std::get_if<unit::starting>(&memory_.now))
    out.starting = s->at != unit::starting::step::probing && running_fingerprint_ == 0;
  out.startup_passed = memory_.startup_passed;
  out.completed = state() == model::unit_state::completed;
  out.ever_started = ever_started_;
  out.run = run_;
  out.fingerprint = running_fingerprint_ != 0 ? running_fingerprint_ : untold_fingerprint_;
  out.settings = running_settings_;
  out.by_names = running_by_names_;
  out.hosts = running_hosts_;
  out.once = once_;
  out.from_nothing = from_nothing_;
  out.taken_down_by = taken_down_by;
  out.exit = memory_.exit;
  out.swaps = recovery_memory_.swaps;
  out.bad_snapshots = recovery_memory_.bad;
  out.measured = recovery_memory_.measured;
  out.forgiven = recovery_memory_.forgiven;
  out.emptied = emptied_;
  out.data_device = data_device_;
  out.has_data = unit_.has_data();
  note_what_waits(out);
  return out;
}

// Its shim's record stays, and it knows its data: configured again, it must not take its last run for one that ended
// unseen, nor its data for new.
instance_intent unit_runner::what_stays() const {
  instance_intent out;
  out.desired = model::desired::down;
  out.ever_started = ever_started_;
  out.run = run_;
  out.swaps = recovery_memory_.swaps;
  out.bad_snapshots = recovery_memory_.bad;
  out.measured = recovery_memory_.measured;
  out.forgiven = recovery_memory_.forgiven;
  out.emptied = emptied_;
  out.data_device = data_device_;
  out.has_data = unit_.has_data();
  return out;
}

// Asked for while nobody knew yet what runs, and answered: the next hasupd must know, should this one not come to it.
void unit_runner::note_what_waits(instance_intent& out) const {
  for (const auto& e : until_decided_) {
    unit::stopping s;
    if (const auto* stop = std::get_if<unit::stop_wanted>(&e)) {
      out.desired = model::desired::down;
      s.no_kill = stop->no_kill || (out.stop && out.stop->no_kill);
      s.why = stop->why;
    } else if (const auto* restart = std::get_if<unit::restart_wanted>(&e)) {
      out.desired = model::desired::up;
      s.then = unit::after_stop::start;
      s.why = restart->why;
    } else if (std::holds_alternative<unit::start_wanted>(e)) {
      out.desired = model::desired::up;
      if (out.stop) out.stop->then = unit::after_stop::start;
      continue;
    } else {
      continue;
    }
    out.stop = s;
  }
}

bool unit_runner::at_rest() const {
  return earlier_hooks_.empty() && is_down();
}

bool unit_runner::is_down() const {
  if (adopting_) return false;  // it may well run
  switch (state()) {
    case model::unit_state::stopped:
    case model::unit_state::waiting:
    case model::unit_state::completed:
    case model::unit_state::backoff:
    case model::unit_state::failed:
    case model::unit_state::asking:
      return true;
    default:
      return false;
  }
}

void unit_runner::replace_spec(model::unit unit, std::optional<model::recipe> recipe, std::string effective_toml,
                               bool all_probes) {
  pending_spec_.reset();
  if (recovers_before(unit)) {
    pending_spec_ = spec_change{std::move(unit), std::move(recipe), std::move(effective_toml)};
    return;
  }
  const auto was = std::exchange(unit_, with_endpoints(unit, unit_.endpoints));
  effective_toml_ = std::move(effective_toml);
  recipe_ = std::move(recipe);
  renew_limits();
  adjust_run(was);
  if (watches_memory() || watches_space()) host_.changed(*this);
  probe_as_now_configured(was, all_probes);
  follow_prefetch();
  if (was.recovery.group != unit_.recovery.group) host_.group_changed(was.recovery.group, unit_.recovery.group);
  if (was.recovery.reference != unit_.recovery.reference) reference_.reset();
  follow_reference();
}

void unit_runner::probe_as_now_configured(const model::unit& was, bool all) {
  if (state() == model::unit_state::running) {
    if (all) {
      on(unit::start_steady_probes{});
    } else {
      if (unit_.readiness != was.readiness) start_probe(model::probe_role::readiness);
      if (unit_.liveness != was.liveness) liveness_held_.clear(), start_probe(model::probe_role::liveness);
    }
    if (!unit_.readiness && memory_.health != model::health::healthy)
      dispatch(unit::health_changed{model::health::healthy, "it has no [readiness] any more"});
    return;
  }
  const auto* s = std::get_if<unit::starting>(&memory_.now);
  if (s == nullptr || s->at != unit::starting::step::probing) return;
  if (!all && unit_.startup == was.startup) return;
  if (unit_.startup)
    on(unit::start_startup_probe{});
  else
    dispatch(unit::startup_passed{});
}

bool unit_runner::recovers_before(const model::unit& next) const {
  return recovery_active() || (parked_ && parked_elsewhere(next.data.dir));
}

// Whether a parked recovery is about another directory than this one.
bool unit_runner::parked_elsewhere(const std::string& data_dir) const {
  const auto done = journaled();
  return done && done->at != recovery::mark::none && done->plan.data_dir != data_dir;
}

bool unit_runner::half_restored() const {
  if (!parked_) return false;
  const auto done = journaled();
  return !done || done->touched();
}

bool unit_runner::is_about_to_recover() const {
  const auto* f = std::get_if<unit::failed>(&memory_.now);
  const bool tried_later = f != nullptr && !f->recover_why.empty();
  const bool taken_up = parked_ && state() != model::unit_state::running;
  const bool wanted = memory_.desired == model::desired::up && (tried_later || taken_up);
  if (!wanted && state() != model::unit_state::recovering && state() != model::unit_state::asking) return false;
  return recovery_active() ? !recovery_->touched() : !half_restored();
}

void unit_runner::apply_pending_spec() {
  auto change = std::exchange(pending_spec_, std::nullopt);
  if (change) replace_spec(std::move(change->unit), std::move(change->recipe), std::move(change->effective_toml));
}

void unit_runner::set_maintenance(bool on) {
  if (std::exchange(maintenance_, on) == on) return;
  follow_prefetch();
  follow_reference();
  if (on && stands_at_) call_off("it is in maintenance");
  if (on) return;
  follow_proxy();
  const auto held = std::exchange(liveness_held_, {});
  if (!held.empty()) dispatch(unit::liveness_failed{held});
  dispatch(unit::maintenance_ended{});
  for (auto& lost : host_.lost_requirements(*this)) dispatch(std::move(lost));
}

void unit_runner::reset() {
  if (data_missing_) data_device_ = 0;  // what is there now is what it has
  recovery::forget_bad_and_swaps(recovery_memory_);
  if (recovery_) recovery_->forget_bad_and_swaps();  // it has a memory of its own while it goes on
  forget_left();
  dispatch(unit::reset_wanted{});
  host_.changed(*this);
}

bool unit_runner::goes_beside() const {
  const bool runs = state() == model::unit_state::running && pid_ != 0 && memory_.desired == model::desired::up;
  return runs && queue_.empty() && !undecided_ && !parked_;
}

void unit_runner::recover(std::string why, recovery_options options) {
  if (goes_beside()) return begin_beside(std::move(why), std::move(options));
  recovery_options_ = std::move(options);
  dispatch(unit::recover_wanted{std::move(why)});
}

void unit_runner::dispatch(unit::event e) {
  if (undecided_) return until_decided_.push_back(std::move(e));
  queue_.push_back(std::move(e));
  if (std::exchange(drain_posted_, true)) return;
  boost::asio::post(services_.loop, [weak = weak_from_this()] {
    if (const auto self = weak.lock()) self->drain();
  });
}

namespace {

// What follows an end until the next run is asked for: its events need not be in the file before that.
bool only_goes_on(const unit::event& e) {
  return std::holds_alternative<unit::tree_emptied>(e) || std::holds_alternative<unit::timer_fired>(e) ||
         std::holds_alternative<unit::prepared>(e);
}

}  // namespace

void unit_runner::drain() {
  drain_posted_ = false;
  while (!queue_.empty()) {
    const auto e = std::move(queue_.front());
    queue_.pop_front();
    const auto state_before = memory_.now.index();
    const auto health_before = memory_.health;

    waiting_for_.clear();
    unit::facts f;
    f.unit = &unit_;
    f.recipe = recipe_ ? &*recipe_ : nullptr;
    f.requirements_met = host_.requirements_met(*this, waiting_for_);
    f.data_recovers = host_.data_recovers(*this);
    for (const auto& w : waiting_for_) f.waiting_for += (f.waiting_for.empty() ? "waiting for " : ", ") + w;
    f.recovery_parked = parked_;
    f.journal_damaged = journal_is_damaged();
    f.recovery_beside = beside_;
    if (beside_) f.beside_for_head = stands_at_;
    f.maintenance = maintenance_;
    if (memory_.stuck_at) f.reference = heard_of_others();
    if (const auto* ended = std::get_if<unit::main_exited>(&e)) f.after_endpoint = after_endpoint(ended->class_of);
    f.now = wall_now();
    f.chance = std::uniform_real_distribution<double>(0, 1)(random_);

    unit::actions actions;
    unit::next(memory_, e, f, actions);
    if (memory_.now.index() != state_before) since_ = f.now;
    if (memory_.health != health_before) health_since_ = f.now;
    if (memory_.desired == model::desired::up) back_after_boot_ = false;
    for (const auto& a : actions) perform(a);
    // What a stop has overtaken is not the order of the next recovery.
    if (std::holds_alternative<unit::stop_wanted>(e)) recovery_options_.reset();
    if (!only_goes_on(e)) tells_of_end_ = host_.newest_event();
    post_start();
    if (recovery_active() || (at_rest() && state() != model::unit_state::backoff)) seen_free_.clear();

    if (memory_.now.index() != state_before || memory_.health != health_before) {
      // Arguments for one run are for the start that was asked for with them.
      if (memory_.now.index() != state_before && (at_rest() || recovery_active()) &&
          state() != model::unit_state::waiting)
        forget_once();
      if (memory_.now.index() != state_before && is_down() && state() != model::unit_state::backoff &&
          state() != model::unit_state::asking)
        retire_shim();
      host_.changed(*this);
    }
  }
  follow_prefetch();
  follow_reference();
  untold_fingerprint_ = 0;
  if (!adopting_) interrupted_.reset();  // gone on with, or there was nothing left of it
}

void unit_runner::perform(const unit::action& a) {
  std::visit([this](const auto& what) { on(what); }, a);
}

void unit_runner::on(const unit::start_timer& t) {
  if (t.which == unit::timer::stop_timeout) {
    if (hook_) return;  // no node runs, and a hook has its own time
    // One that has just expired is not about this time.
    std::erase_if(queue_, [](const unit::event& e) {
      const auto* fired = std::get_if<unit::timer_fired>(&e);
      return fired != nullptr && fired->which == unit::timer::stop_timeout;
    });
  }
  next_attempt_at_.reset();
  if (t.which == unit::timer::backoff || t.which == unit::timer::prepare_again ||
      t.which == unit::timer::recover_again)
    next_attempt_at_ = wall_now() + t.after;
  stop_ends_at_.reset();
  if (t.which == unit::timer::stop_timeout) stop_ends_at_ = wall_now() + t.after;
  if (t.which == unit::timer::drain) drain_ends_at_ = wall_now() + t.after;
  timer_.expires_after(t.after);
  if (t.after.count() <= 0) {  // without the kernel's timer, and a turn of the loop for it
    boost::asio::post(services_.loop, [weak = weak_from_this(), which = t.which, set = ++timer_set_] {
      if (const auto self = weak.lock(); self && set == self->timer_set_) self->dispatch(unit::timer_fired{which});
    });
    return;
  }
  ++timer_set_;
  timer_.async_wait([weak = weak_from_this(), which = t.which](const boost::system::error_code& ec) {
    const auto self = weak.lock();
    if (ec || !self || self->timer_.expiry() > self->now()) return;  // set anew since
    self->dispatch(unit::timer_fired{which});
  });
}

void unit_runner::on(const unit::cancel_timers&) {
  next_attempt_at_.reset();
  ++timer_set_;
  timer_.cancel();
}

void unit_runner::on(const unit::emit& e) {
  publish(e.kind, e.why);
}

void unit_runner::publish(const std::string& kind, const std::string& why,
                          std::map<std::string, std::string> detail) {
  control::event e;
  e.kind = kind;
  e.reason = why;
  e.detail = std::move(detail);
  publish(std::move(e));
}

// As of this unit, in its state.
void unit_runner::publish(control::event e) {
  e.unit = unit_.id.unit;
  e.instance = unit_.id.index;
  e.state = model::unit_state_names.text(state());
  host_.publish(std::move(e));
}

}  // namespace hasup::daemon
