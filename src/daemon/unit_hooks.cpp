// The commands of [run] around a run: pre_start, post_start, stop_command, post_stop, and check_command of a reload.
#include <fmt/format.h>

#include <csignal>

#include "daemon/hook_run.hpp"
#include "daemon/unit_runner.hpp"

namespace hasup::daemon {

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
  post_start_ =
      hook_run::start(services_, unit_, *launch_, {"post_start", unit_.run.post_start, unit_.run.hook_timeout, {}},
                      [weak = weak_from_this()](const std::string& why) {
                        const auto self = weak.lock();
                        if (self && !why.empty()) self->publish("post_start_failed", why);
                      });
}

void unit_runner::signal_stop() {
  const auto send = [this] {
    if (shim_) shim_->signal(unit_.run.stop_signal, false);
  };
  if (unit_.run.stop_command.empty() || !launch_) return send();
  stop_hook_ = hook_run::start(
      services_, unit_, *launch_, {"stop_command", unit_.run.stop_command, unit_.run.stop_timeout, {}},
      [weak = weak_from_this(), send](const std::string& why) {
        const auto self = weak.lock();
        if (!self || !self->stop_hook_) return;  // the node has ended
        if (why.empty()) return;
        self->publish("stop_command_failed", why + "; sending " + model::signal_name(self->unit_.run.stop_signal));
        send();
      });
}

void unit_runner::after_tree_empty(std::function<void()> then) {
  stop_hook_.reset();
  if (post_start_) std::exchange(post_start_, nullptr)->cancel();
  if (unit_.run.post_stop.empty() || !launch_) return then();
  timer_.cancel();  // nothing is left that could be killed
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
