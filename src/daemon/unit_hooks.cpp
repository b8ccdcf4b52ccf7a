// The commands of [run] around a run: pre_start, post_start, stop_command, post_stop, and check_command of a reload.
#include <fmt/format.h>

#include <algorithm>

#include "daemon/hook_run.hpp"
#include "daemon/unit_runner.hpp"

namespace hasup::daemon {
namespace {

constexpr base::duration hook_grace{5'000};  // between SIGTERM and SIGKILL of a stop_command

}  // namespace

// What an earlier hasupd began and did not live to see the end of. Its shim tells.
void unit_runner::await_earlier_hooks(const std::set<std::string>& claims) {
  for (const auto name : hook_names) {
    if (!claims.contains(hook_claim(unit_.id, name))) continue;
    const bool timed = name != "stop_command";  // that one has no time limit of its own, see signal_stop
    earlier_hooks_.push_back(hook_run::start(
        services_, unit_, {}, {std::string(name), {}, timed ? unit_.run.hook_timeout : base::duration{0}, {}},
        [weak = weak_from_this(), name](const std::string&) {
          if (const auto self = weak.lock()) self->earlier_hook_ended(name);
        }));
    if (memory_.desired == model::desired::down && name == "pre_start") end_earlier_hook(earlier_hooks_.back());
  }
}

void unit_runner::earlier_hook_ended(std::string_view name) {
  std::erase_if(earlier_hooks_, [&](const auto& h) { return h->name() == name; });
  prepare_ended();
  if (!earlier_hooks_.empty()) return;
  if (const auto then = std::exchange(once_alone_, {})) then();
  host_.changed(*this);
}

void unit_runner::end_earlier_hook(const std::shared_ptr<hook_run>& hook) {
  const auto then = [weak = weak_from_this(), name = hook->name()] {
    if (const auto self = weak.lock()) self->earlier_hook_ended(name);
  };
  if (hook->name() == "pre_start")
    end_pre_start(*hook, then);
  else
    end_hook(*hook, then);
}

// Before anything of a new run: what made the data ready, or cleans up after the last run, comes to its end; what was
// about the last run itself is ended. `then` is dropped when something else is to be done first.
void unit_runner::when_alone(std::function<void()> then) {
  if (earlier_hooks_.empty()) return then();
  once_alone_ = std::move(then);
  std::string names;
  for (const auto& h : earlier_hooks_) names += (names.empty() ? "" : ", ") + h->name();
  publish("waiting_for_hook", names + " of before hasupd ended still runs; waiting for its end");
  const auto all = earlier_hooks_;
  for (const auto& h : all)
    if (h->name() != "pre_start" && h->name() != "post_stop") end_earlier_hook(h);
}

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
                                                 "`hasup logs " + shown_name(self->unit_) + "` has what it printed"},
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
                                          if (!runner) return;
                                          runner->post_start_.reset();
                                          if (!why.empty()) runner->publish("post_start_failed", why);
                                        });
  });
}

// A stop asked for while pre_start runs: what it does (making a database, say) may end in order.
void unit_runner::end_pre_start(hook_run& hook, std::function<void()> then) {
  const auto grace = std::min(unit_.run.hook_timeout, unit_.run.stop_timeout);
  stop_ends_at_ = wall_now() + grace;
  hook.end(
      grace,
      [weak = weak_from_this(), grace] {
        const auto self = weak.lock();
        if (!self) return true;
        const auto limit = base::format_duration(grace);
        const auto* s = std::get_if<unit::stopping>(&self->memory_.now);
        if ((s != nullptr && s->no_kill) || (self->recovery_has_node() && self->recovery_no_kill_)) {
          self->stop_ends_at_ = self->wall_now() + grace;
          self->publish("still_stopping", "pre_start does not end within " + limit + "; not killed, as asked");
          return false;
        }
        self->publish("killed", "pre_start: SIGKILL after " + limit + " without an end");
        return true;
      },
      std::move(then));
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
  if (!recovery_has_node()) return dispatch(unit::stop_command_failed{why});
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
  // The same one of an earlier hasupd, for which it waits.
  const auto all = earlier_hooks_;
  for (const auto& h : all)
    if (h.get() != &hook && h->name() == hook.name()) end_earlier_hook(h);
}

// It would reach into the next run, which waits for its end.
void unit_runner::end_first(std::shared_ptr<hook_run>& hook, std::function<void()> then) {
  hook_ = std::exchange(hook, nullptr);
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
  if (post_start_) return end_first(post_start_, [this, then = std::move(then)] { after_tree_empty(then); });
  if (stop_hook_) return end_first(stop_hook_, [this, then = std::move(then)] { after_tree_empty(then); });
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
  if (pid_ == 0 || !shim_) return done("is not running");
  if (unit_.proxy)
    return renew_list([weak = weak_from_this(), done](const std::string& why) {
      const auto self = weak.lock();
      if (!self || !why.empty()) return done(why);
      if (self->proxy_) self->proxy_->reload_due = false;
      self->check_and_reload([weak, done](const std::string& why_not) {
        if (const auto runner = weak.lock(); runner && runner->proxy_) runner->list_told(why_not);
        done(why_not);
      });
    });
  check_and_reload(std::move(done));
}

void unit_runner::check_and_reload(std::function<void(std::string)> done) {
  const auto send = [weak = weak_from_this(), done](const std::string& why) {
    const auto self = weak.lock();
    if (!self || !why.empty()) return done(why);
    if (self->pid_ == 0 || !self->shim_) return done("ended while its configuration was checked");
    self->send_reload(done);
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
