// What people and machines see of an instance.
#include <fmt/format.h>

#include "base/joined.hpp"
#include "base/time_text.hpp"
#include "daemon/unit_runner.hpp"
#include "recovery/next_steps.hpp"
#include "unit/first_state.hpp"

namespace hasup::daemon {
namespace {

constexpr std::string_view asking = "hasupd has just come up and is asking its shim what runs";
constexpr auto usage_for = std::chrono::seconds(1);  // /proc is not walked for every status

}  // namespace

control::instance_status unit_runner::status() {
  control::instance_status s;
  s.unit = unit_.id.unit;
  s.instance = unit_.id.index;
  s.instances = unit_.instances;
  s.state = undecided_ ? model::unit_state::starting : state();
  s.desired = memory_.desired;
  s.health = memory_.health;
  s.reason = !undecided_ ? memory_.reason : shim_silence_.empty() ? std::string(asking) : shim_silence_;
  if (const auto held = held_by_maintenance(); !held.then.empty()) s.reason += "; held by maintenance: " + held.why;
  if (const auto trouble = journal_trouble(); !trouble.empty()) s.reason += "; " + trouble;
  for (const auto role : {model::probe_role::readiness, model::probe_role::liveness})
    if (const auto& why = probes_held_[static_cast<std::size_t>(role)]; s.reason.find(why) == std::string::npos)
      s.reason += fmt::format("; no verdict of {}: {}", model::probe_role_names.text(role), why);
  s.since = since_;
  if (s.state == model::unit_state::running) s.health_since = std::max(since_, health_since_);
  s.restarts = memory_.restarts;
  s.recoveries = memory_.recoveries;
  if (state() == model::unit_state::waiting) s.waiting_for = waiting_for_;
  s.next_attempt_at = next_attempt_at_;
  // What the main process left behind is asked to end before it is killed.
  if (const auto* stop = std::get_if<unit::stopping>(&memory_.now);
      stop != nullptr && !stop->draining && !stop->no_kill && (!stop->main_gone || stop->term_sent))
    s.kill_at = stop_ends_at_;
  // After stop_command comes the signal, with as much time again.
  if (const auto* stop = std::get_if<unit::stopping>(&memory_.now);
      s.kill_at && stop != nullptr && stop->by_command && !stop->main_gone && !hook_)
    *s.kill_at += unit_.run.stop_timeout;
  if (drains()) s.drain_ends_at = drain_ends_at_;
  if (memory_.exit) {
    const auto& e = *memory_.exit;
    s.exit = control::last_exit{e.status.code, e.status.signal, e.class_name, e.at};
  }
  s.head = head_;
  if (pid_ != 0)
    for (const auto& [word, endpoint] : unit_.endpoints)
      s.upstream += (s.upstream.empty() ? "" : ", ") + unit_.choices.all->roles.at(word).name + ": " + endpoint;
  s.config_changed = wants_restart_for_spec();
  s.addresses_changed = base::joined(names_that_changed());
  s.killed = memory_.killed;
  if (shim_) s.logs_dropped = shim_->status().logs_dropped;
  if (pid_ != 0) {
    s.pid = pid_;
    if (started_at_) s.uptime_s = std::chrono::duration<double>(wall_now() - *started_at_).count();
    const auto t = now();
    if (t - last_usage_at_ > usage_for && shim_) {
      const auto& shim = shim_->status();
      const auto all = process::unit_processes({shim.shim_pid, pid_, shim.start_time, shim.attached});
      const auto usage = process::usage_of(all);
      if (last_usage_at_ != base::mono_time{} && usage.cpu >= last_usage_.cpu) {
        const auto wall = std::chrono::duration<double>(t - last_usage_at_).count();
        cpu_percent_ = 100.0 * std::chrono::duration<double>(usage.cpu - last_usage_.cpu).count() / wall;
      } else {
        const auto lived = s.uptime_s.value_or(0);
        cpu_percent_ = lived > 0 ? 100.0 * std::chrono::duration<double>(usage.cpu).count() / lived : 0;
      }
      last_usage_ = usage;
      last_usage_at_ = t;
    }
    s.cpu_percent = cpu_percent_;
    s.memory_bytes = last_usage_.memory;
  } else {
    last_usage_at_ = {};
  }
  if (recovery_active()) s.recovery = recovery_progress();
  s.prefetch = prefetch_view();
  return s;
}

bool unit_runner::drains() const {
  const auto* stop = std::get_if<unit::stopping>(&memory_.now);
  return stop != nullptr && stop->draining;
}

// Asked for once a second or more often: nothing is measured for it.
health::instance_view unit_runner::health_view() const {
  health::instance_view v;
  v.id = unit_.id;
  v.state = undecided_ ? model::unit_state::starting : state();
  v.health = memory_.health;
  v.desired = memory_.desired;
  v.reason = undecided_ ? std::string(asking) : memory_.reason;
  v.draining = drains();
  v.restoring = v.state == model::unit_state::recovering || v.state == model::unit_state::asking;
  return v;
}

control::recovery_status unit_runner::recovery_progress() const {
  const auto v = recovery_->view();
  control::recovery_status r;
  r.phase = v.phase;
  r.plan = v.plan;
  r.snapshot = v.snapshot;
  r.source = v.source;
  r.bytes_done = v.progress.bytes_done;
  r.bytes_total = v.progress.bytes_total;
  r.bytes_per_s = v.progress.bytes_per_s;
  r.files_done = v.progress.files_done;
  r.files_total = v.progress.files_total;
  if (r.bytes_total && r.bytes_per_s > 0 && *r.bytes_total >= r.bytes_done)
    r.eta_s = (*r.bytes_total - r.bytes_done) / r.bytes_per_s;
  r.asks = asks();
  r.began_at = v.began_at;
  r.phase_since = v.phase_since;
  r.head = v.outlook.head;
  const auto at = [this](std::optional<base::mono_time> t) -> std::optional<base::wall_time> {
    if (!t) return std::nullopt;
    return wall_now() + std::chrono::duration_cast<base::wall_time::duration>(*t - now());
  };
  r.confirms_at = at(v.outlook.confirms_at);
  r.gives_up_at = at(v.outlook.gives_up_at);
  return r;
}

// What would stop or restart the node if nobody worked on it. A requirement that came back meanwhile is no reason.
unit_runner::held_back unit_runner::held_by_maintenance() const {
  constexpr auto restarted = "it is restarted in order", stopped = "it is stopped";
  if (!maintenance_ || pid_ == 0) return {};
  if (!memory_.held.parent_lost.empty()) return {restarted, memory_.held.parent_lost};
  const auto by_policy = unit_.restart.policy == model::restart_when::never ? stopped : restarted;
  if (!memory_.held.start_timeout.empty()) return {by_policy, memory_.held.start_timeout};
  if (!liveness_held_.empty()) return {by_policy, "liveness failed: " + liveness_held_};
  for (const auto& lost : host_.lost_requirements(*this))
    return {lost.loss == model::on_loss::stop ? stopped : "it waits until that is back", lost.why};
  return {};
}

// On the state that it had: it had started on that before, or only its head stood still.
bool unit_runner::starts_after_failure() const {
  const auto* r = std::get_if<unit::recovering>(&memory_.now);
  return stands_at_ || (r != nullptr && r->returns);
}

// Before the swap nothing was touched; after it the old state stands aside until the new one is confirmed.
std::string unit_runner::way_out_of_recovery() const {
  const auto name = shown_name(unit_);
  if (wiped()) return "hasup stop " + name + "    (stops the recovery where it is; there is no way back)";
  if (!recovery_active()) {  // it waits for its mount, or its journal
    const auto done = journaled();
    return done && done->can_roll_back() ? "hasup recover " + name + " --rollback    (puts the old state back)"
                                         : "hasup stop " + name + "    (stops the recovery where it is)";
  }
  if (!recovery_->touched()) return "hasup recover " + name + " --cancel    (ends it, with nothing touched)";
  if (recovery_->can_roll_back()) return "hasup recover " + name + " --rollback    (puts the old state back)";
  return {};
}

control::instance_story unit_runner::story(const std::vector<control::event>& events) {
  control::instance_story out;
  out.status = status();
  out.events = events;
  if (memory_.exit) {
    if (!memory_.exit->evidence.empty()) out.evidence.push_back(memory_.exit->evidence);
    out.grounds = memory_.exit->grounds;
    out.advice = memory_.exit->advice;
  }
  for (auto& line : stuck_head_story()) out.evidence.push_back(std::move(line));
  for (const auto& e : events) {
    if (e.kind == "started" || e.kind == "running") continue;
    out.tried.push_back(fmt::format("{} {}: {}", base::format_time(e.at).substr(11, 8), e.kind, e.reason));
  }
  const auto name = shown_name(unit_);
  if (undecided_) {
    out.next = "what was asked for is done once its shim has answered";
    return out;
  }
  if (beside_) {
    out.next = asks()              ? "nothing until a person says yes; until then the node runs on"
               : recovery_active() ? "the node runs on meanwhile: " + recovery_->what_comes_next(true)
                                   : "the node runs on until a snapshot is staged";
    if (stands_at_)
      out.next += fmt::format("; when its head gets beyond {} by itself, the recovery is called off", *stands_at_);
    if (asks()) out.actions = {"hasup recover " + name + " --yes"};
    out.actions.push_back("hasup recover " + name + " --cancel");
    return out;
  }
  switch (state()) {
    case model::unit_state::backoff:
      if (next_attempt_at_)
        out.next = "starts again at " + base::format_time(*next_attempt_at_).substr(11, 8) + " UTC";
      out.actions = {"hasup start " + name + "    (starts at once)", "hasup logs " + name};
      break;
    case model::unit_state::waiting:
      out.next = "starts by itself as soon as what it waits for is there";
      break;
    case model::unit_state::stopped:
      if (half_restored()) {
        out.next = fmt::format("nothing until it is started: its recovery was stopped after the {}",
                               wiped() ? "old state had been deleted" : "state had been replaced");
        out.actions = {"hasup start " + name + "    (goes on with the recovery)"};
        if (!wiped()) out.actions.push_back("hasup recover " + name + " --rollback    (puts the old state back)");
        break;
      }
      out.next = "nothing: it stays down until it is started";
      out.actions = {"hasup start " + name};
      break;
    case model::unit_state::recovering:
      out.next = recovery_active() ? recovery_->what_comes_next(starts_after_failure())
                 : waits_for_mount_
                     ? "goes on as soon as all of data.mount is mounted (" + base::joined(unit_.data.mounts) + ")"
                     : "goes on as soon as its journal is read";
      out.actions = {"hasup status --watch"};
      if (restored_head_stands())
        out.next =
            "is confirmed when its head advances; if others are seen to advance without it, the next older "
            "snapshot is tried";
      if (restored_head_stands() && wiped()) out.next += "; the old state is deleted, so there is no way back";
      if (auto way = way_out_of_recovery(); !way.empty()) out.actions.push_back(std::move(way));
      break;
    case model::unit_state::asking:
      out.next = "nothing until a person says yes";
      out.actions = {"hasup recover " + name + " --yes", "hasup recover " + name + " --cancel"};
      break;
    case model::unit_state::failed:
      out.next = "nothing: it has given up and waits for a person";
      if (const auto* f = std::get_if<unit::failed>(&memory_.now); f != nullptr && f->held) {
        out.next = "nothing while it is in maintenance; then its recovery begins by itself";
        out.actions = {"hasup maintenance off " + unit_.id.unit, "hasup recover " + name + " --dry-run",
                       "hasup start " + name + "    (tries on the state as it is)", "hasup logs " + name};
        break;
      }
      if (next_attempt_at_)
        out.next = "the recovery is tried again at " + base::format_time(*next_attempt_at_).substr(11, 8) + " UTC";
      if (emptied_) {
        out.actions = {"hasup recover " + name + "    (tries again at once)",
                       "hasup recover " + name + " --from FILE    (from another archive)",
                       "hasup recover " + name + " --dry-run"};
        break;
      }
      out.actions = {"hasup logs " + name, "hasup start " + name + "    (tries again)"};
      if (memory_.reason.find(unit::never_from_nothing) != std::string::npos)
        out.actions.back() = "hasup start " + name + " --from-nothing    (begins without a state, this once)";
      if (!unit_.recovery.recipe.empty())
        for (auto& way : recovery::ways_to_recover(unit_, recovery_memory_, wall_now()))
          out.actions.push_back(std::move(way));
      break;
    default:
      if (const auto trouble = journal_trouble(); !trouble.empty()) {
        out.next = trouble;
        out.actions = {"hasup recover " + name + " --dry-run", "hasup recover " + name};
      } else if (const auto held = held_by_maintenance(); !held.then.empty()) {
        out.next = fmt::format("nothing while it is in maintenance; then {}: {}", held.then, held.why);
        out.actions = {"hasup maintenance off " + unit_.id.unit, "hasup restart " + name + "    (restarts at once)"};
      } else if (asks_reference()) {
        out.next =
            memory_.stuck_restarts < recipe_->stuck_restarts
                ? "restarted again when the head still does not advance"
                : "when the head still does not advance: its state is replaced if others advance and there is a "
                  "snapshot beyond its head, else it is restarted again";
        out.actions = {"hasup recover " + name + " --dry-run", "hasup maintenance on " + unit_.id.unit};
      }
      break;
  }
  if (const auto left = left_story(); !left.empty()) {
    out.next += (out.next.empty() ? "" : "; ") + left;
    out.actions.push_back("hasup reset " + name + "    (forgets which endpoints it left)");
  }
  return out;
}

}  // namespace hasup::daemon
