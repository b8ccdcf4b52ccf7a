// start --adopt: the process that somebody else started on this unit's data becomes the unit's run. What is a child
// of nobody here is watched and not waited for, as after the death of a shim: how it ends stays unknown.
#include <fmt/format.h>

#include "daemon/disk_thread.hpp"
#include "daemon/unit_runner.hpp"

namespace hasup::daemon {

bool unit_runner::find_outsider(std::function<void(base::result<outsider>)> then) {
  if (recovery_active() || worker_.busy()) return false;
  auto found = std::make_shared<base::result<launch>>(base::error{});
  services_.disk.run([found, unit = unit_, cgroups = services_.cgroup] { *found = prepare_launch(unit, cgroups); },
                     [weak = weak_from_this(), found, then = std::move(then)] {
                       const auto self = weak.lock();
                       if (!self || !*found) return then(self ? found->error() : base::error{"the unit is gone"});
                       if (self->worker_.busy())
                         return then(base::error{shown_name(self->unit_) + " is being checked; try again"});
                       self->launch_ = std::move(**found);
                       auto job = self->inspect_job();
                       job.all_writers = true;
                       job.tolerated = self->host_.reader_pids(self->unit_.id);
                       process::account root;
                       root.own = true;  // only the daemon's user sees every process's files
                       self->worker_.run(std::move(job), root, {}, [weak, then](const ports::worker_result& r) {
                         const auto runner = weak.lock();
                         if (!runner) return then(base::error{"the unit is gone"});
                         if (!r.ok())
                           return then(base::error{"cannot inspect " + runner->unit_.data.dir + ": " + r.error});
                         if (r.half_swapped && r.swap_phase != "confirmed")
                           return then(base::error{"a recovery left " + runner->unit_.data.dir +
                                                   " half restored; it must be finished "
                                                   "first"});
                         auto as = runner->launch_->account;
                         then(choose_outsider(r.writers, runner->unit_, as));
                       });
                     });
  return true;
}

void unit_runner::adopt_outsider(outsider who) {
  outsider_ = std::move(who);
  dispatch(unit::adopt_wanted{fmt::format("taking over pid {}: {}", outsider_->pid, outsider_->command)});
  mark_node_logs([] {});
  if (retiring_) return;  // the old shim is just ending; shim_lost opens a new one
  if (shim_ && shim_->connected())
    attach_outsider();
  else
    open_shim();
}

void unit_runner::attach_outsider() {
  const auto& s = shim_->status();
  if (s.tree_alive) return outsider_refused("a run of it is still alive under its shim");
  run_ = std::max(run_, s.run) + 1;
  watched_from_start_ = false;
  runs_as_configured();
  ever_started_ = true;
  head_.reset();
  host_.changed(*this);
  save_spec();
  shim_->attach(outsider_->pid, outsider_->start_time, run_, data_dirs_of(unit_), log_of(unit_, services_.dirs.log));
}

void unit_runner::outsider_refused(const std::string& why) {
  running_fingerprint_ = 0;
  const auto who = std::exchange(outsider_, std::nullopt);
  const auto text = fmt::format("pid {} could not be taken over: {}; it was left as it is", who->pid, why);
  unit::classification c;
  c.name = "not adopted";
  c.action = unit::exit_action::hold;
  dispatch(unit::spawn_failed{std::move(c), text});
}

}  // namespace hasup::daemon
