// The commands of [run] around a run: pre_start, post_start, stop_command, post_stop, and check_command of a reload.
#include <fmt/format.h>

#include <algorithm>

#include "daemon/hook_run.hpp"
#include "daemon/unit_runner.hpp"

namespace hasup::daemon {
namespace {

constexpr base::duration hook_grace{5'000};  // between SIGTERM and SIGKILL of a stop_command

}  // namespace

void unit_runner::spawn_with(std::vector<std::string> append) {
  if (unit_.run.pre_start.empty() || !launch_) return open_for_run(std::move(append));
  hook_ = hook_run::start(services_, unit_, *launch_, {"pre_start", unit_.run.pre_start, unit_.run.hook_timeout, {}},
                          [weak = weak_from_this(), append = std::move(append)](const std::string& why) {
                            const auto self = weak.lock();
                            if (!self) return;
                            self->hook_.reset();
                            if (why.empty()) return self->open_for_run(append);
                            // Nothing of the node ran: the state is not to blame.
                            self->start_refused({"pre_start failed", unit::exit_action::restart, why,
                                                 "`hasup logs " + self->unit_.id.unit + "` has what it printed"},
                                                why);
                          });
}

void unit_runner::post_start() {
  if (!memory_.startup_passed || post_started_run_ == run_ || pid_ == 0) return;
  post_started_run_ = run_;
  if (unit_.run.post_start.empty() || !launch_) return;
  // Once it is on the disk that startup has passed: a hasupd that is killed now leaves no successor that begins
  // again.
  host_.when_saved([weak = weak_from_this(), run = run_] {
    const auto self = weak.lock();
    if (!self || self->run_ != run || self->pid_ == 0 || !self->launch_) return;
    if (self->state() != model::unit_state::running) return;
    self->post_start_ = hook_run::start(self->services_, self->unit_, *self->launch_,
                                        {"post_start", self->unit_.run.post_start, self->unit_.run.hook_timeout, {}},
                                        [weak](const std::string& why) {
                                          const auto runner = weak.lock();
                                          if (runner && !why.empty()) runner->publish("post_start_failed", why);
                                        });
  });
}

// A stop asked for while pre_start runs: what it does (making a database, say) may end in order.
void unit_runner::end_pre_start() {
  const auto grace = std::min(unit_.run.hook_timeout, unit_.run.stop_timeout);
  stop_ends_at_ = wall_now() + grace;
  hook_->end(
      grace,
      [weak = weak_from_this(), grace] {
        const auto self = weak.lock();
        if (!self) return true;
        const auto limit = base::format_duration(grace);
        if (const auto* s = std::get_if<unit::stopping>(&self->memory_.now); s != nullptr && s->no_kill) {
          self->stop_ends_at_ = self->wall_now() + grace;
          self->publish("still_stopping", "pre_start does not end within " + limit + "; not killed, as asked");
          return false;
        }
        self->publish("killed", "pre_start: SIGKILL after " + limit + " without an end");
        return true;
      },
      [weak = weak_from_this()] {
        const auto self = weak.lock();
        if (!self) return;
        self->hook_.reset();
        self->dispatch(unit::tree_emptied{});
      });
}

// stop_command has no time limit of its own: stop_timeout ends it.
void unit_runner::signal_stop() {
  if (unit_.run.stop_command.empty()) return send_stop_signal();
  asked_by_command_ = true;
  if (stop_hook_) return;  // is at it
  if (!launch_) return stop_command_failed("stop_command: the account or environment of the unit is not known");
  stop_hook_ = hook_run::start(services_, unit_, *launch_, {"stop_command", unit_.run.stop_command, {}, {}},
                               [weak = weak_from_this()](const std::string& why) {
                                 const auto self = weak.lock();
                                 if (!self) return;
                                 self->stop_hook_.reset();
                                 if (!why.empty()) self->stop_command_failed(why);
                               });
}

void unit_runner::send_stop_signal() {
  asked_by_command_ = false;
  if (stop_hook_)
    end_hook(*stop_hook_, [weak = weak_from_this()] {
      if (const auto self = weak.lock()) self->stop_hook_.reset();
    });
  if (shim_) shim_->signal(unit_.run.stop_signal, false);
}

void unit_runner::stop_command_failed(const std::string& why) {
  if (!recovery_active()) return dispatch(unit::stop_command_failed{why});
  if (pid_ == 0 || !asked_by_command_) return;
  publish("stop_command_failed", why + "; sending " + model::signal_name(unit_.run.stop_signal));
  send_stop_signal();
  await_node_end(unit_.run.stop_timeout, true);
}

void unit_runner::end_hook(hook_run& hook, std::function<void()> then) {
  hook.end(
      hook_grace,
      [weak = weak_from_this(), name = hook.name()] {
        if (const auto self = weak.lock())
          self->publish(name + "_failed", name + " goes on after its time: SIGKILL " +
                                              base::format_duration(hook_grace) + " after SIGTERM");
        return true;
      },
      std::move(then));
}

// It would reach into the next run, which waits for its end.
void unit_runner::end_stop_hook(std::function<void()> then) {
  hook_ = std::exchange(stop_hook_, nullptr);
  end_hook(*hook_, [weak = weak_from_this(), then = std::move(then)] {
    const auto self = weak.lock();
    if (!self) return;
    self->hook_.reset();
    then();
  });
}

void unit_runner::after_tree_empty(std::function<void()> then) {
  timer_.cancel();  // nothing is left that could be killed
  stop_ends_at_.reset();
  if (post_start_) std::exchange(post_start_, nullptr)->cancel();
  if (stop_hook_) return end_stop_hook([this, then = std::move(then)] { after_tree_empty(then); });
  if (unit_.run.post_stop.empty() || !launch_) return then();
  std::map<std::string, std::string> how;
  if (ended_with_.code) how["HASUP_EXIT_CODE"] = std::to_string(*ended_with_.code);
  if (ended_with_.signal) how["HASUP_EXIT_SIGNAL"] = model::signal_name(*ended_with_.signal);
  hook_ = hook_run::start(services_, unit_, *launch_,
                          {"post_stop", unit_.run.post_stop, unit_.run.hook_timeout, std::move(how)},
                          [weak = weak_from_this(), then = std::move(then)](const std::string& why) {
                            const auto self = weak.lock();
                            if (!self) return;
                            self->hook_.reset();
                            if (!why.empty()) self->publish("post_stop_failed", why);
                            then();
                          });
}

void unit_runner::reload(std::function<void(std::string)> done) {
  if (pid_ == 0 || !shim_ || !unit_.run.reload_signal) return done("is not running");
  const auto send = [weak = weak_from_this(), done](const std::string& why) {
    const auto self = weak.lock();
    if (!self || !why.empty()) return done(why);
    if (self->pid_ == 0 || !self->shim_) return done("ended while its configuration was checked");
    self->shim_->signal(*self->unit_.run.reload_signal, false);
    self->publish("reloaded", "sent " + model::signal_name(*self->unit_.run.reload_signal) +
                                  " to read the "
                                  "configuration again");
    done("");
  };
  if (unit_.run.check_command.empty() || !launch_) return send("");
  hook_run::start(services_, unit_, *launch_, {"check_command", unit_.run.check_command, unit_.run.hook_timeout, {}},
                  send);
}

bool unit_runner::send_signal(int number) {
  if (pid_ == 0 || !shim_) return false;
  shim_->signal(number, false);
  publish("signalled", "sent " + model::signal_name(number) + ", as asked by hand");
  return true;
}

}  // namespace hasup::daemon
