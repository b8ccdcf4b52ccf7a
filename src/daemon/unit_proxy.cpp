// [proxy]: the list of servers of nginx or HAProxy, written when who is in it changes, checked, and taken up.
//
//   answers of endpoints ──> upstream::list_servers ──> template ──> check_command ──> output ──> reload
#include <fmt/format.h>

#include <algorithm>
#include <iterator>

#include "daemon/disk_thread.hpp"
#include "daemon/hook_run.hpp"
#include "daemon/proxy_files.hpp"
#include "daemon/unit_runner.hpp"
#include "model/exit_status.hpp"

namespace hasup::daemon {
namespace {

constexpr base::duration try_again_after{60'000};  // what was refused: a person may have mended it

std::vector<std::string> with_candidate(const model::proxy_policy& proxy) {
  constexpr std::string_view name = "${candidate}";
  std::string path;  // as fill_command reads it
  for (const char c : candidate_of(proxy)) path += c == '$' ? std::string("$$") : std::string(1, c);
  auto words = proxy.check_command;
  for (auto& word : words)
    for (auto at = word.find(name); at != std::string::npos; at = word.find(name, at + path.size()))
      word.replace(at, name.size(), path);
  return words;
}

std::string names_of(const std::vector<model::upstream_endpoint>& servers) {
  std::string out;
  for (const auto& s : servers) out += (out.empty() ? "" : ", ") + s.name;
  return out;
}

}  // namespace

void unit_runner::look_at_servers(const model::upstream& role, const std::vector<upstream::server_view>& all,
                                  const std::string& chosen) {
  if (!unit_.proxy) return proxy_.reset();
  if (!proxy_ || proxy_->policy != *unit_.proxy) begin_proxy();
  auto& p = *proxy_;
  base::duration patience{0};
  for (const auto& e : role.endpoints) patience = std::max(patience, e.asked.interval + e.asked.timeout);
  const auto list = upstream::list_servers(*unit_.proxy, all, chosen, p.memory, 2 * patience, now());
  p.left_out = list.left_out;
  std::vector<model::upstream_endpoint> servers;
  for (const auto& name : list.servers)
    for (const auto& e : role.endpoints)
      if (e.name == name) servers.push_back(e);
  if (servers != p.servers) {
    p.servers = std::move(servers);
    p.wanted = p.wanted || !p.servers.empty();
  }
  p.all_told =
      std::none_of(all.begin(), all.end(), [](const auto& s) { return s.is == upstream::standing::undecided; });
  if (p.memory.none_fit && !std::exchange(p.lost, true))
    publish("proxy_lost", fmt::format("upstream {}: no endpoint is fit ({}); the list stays as it is: {}", role.name,
                                      p.left_out, names_of(p.servers)));
  if (!p.memory.none_fit && std::exchange(p.lost, false))
    publish("proxy_back", fmt::format("upstream {}: {} again", role.name, names_of(p.servers)));
  follow_proxy();
  tell_waiting_start();
}

// A start that waits for the list looks again when it need not, or for another reason.
void unit_runner::tell_waiting_start() {
  auto why = why_no_list();
  if (std::exchange(proxy_->told, why) == why) return;
  look_at_requirements();
  if (state() == model::unit_state::waiting) dispatch(unit::requirements_changed{});
}

// Also with another policy: what was known stays, and the list is made anew.
void unit_runner::begin_proxy() {
  auto was = std::exchange(proxy_, std::make_unique<proxying>());
  if (was) {
    proxy_->memory = std::move(was->memory);
    proxy_->waiting = std::move(was->answering);
    std::move(was->waiting.begin(), was->waiting.end(), std::back_inserter(proxy_->waiting));
  }
  proxy_->policy = *unit_.proxy;
  proxy_->ticket = ++proxy_tickets_;
  proxy_->busy = true;
  auto found = std::make_shared<proxy_state>();
  services_.disk.run([found, policy = proxy_->policy] { *found = look_at_output(policy); },
                     [weak = weak_from_this(), found, ticket = proxy_->ticket] {
                       const auto self = weak.lock();
                       if (!self || !self->proxy_goes_on(ticket)) return;
                       auto& p = *self->proxy_;
                       p.busy = false;
                       p.looked = true;
                       p.in_use = found->has_output;
                       p.reload_due = found->untold;
                       self->follow_proxy();
                       self->tell_waiting_start();
                     });
}

std::string unit_runner::why_no_list() const {
  if (!proxy_ || !proxy_->looked) return "no endpoint has been asked yet";
  if (!proxy_->servers.empty()) return {};
  if (proxy_->in_use && proxy_->all_told) return {};  // the last one stays
  return "no endpoint is fit for the list";
}

void unit_runner::follow_proxy() {
  if (!proxy_ || !unit_.proxy || proxy_->busy) return;
  auto& p = *proxy_;
  if (maintenance_ && p.waiting.empty()) return;
  const bool again = !p.refused.empty() && now() >= p.again_at && pid_ != 0;
  if (!p.servers.empty() && (!p.waiting.empty() || again || (p.wanted && pid_ != 0))) return write_list();
  // One that has just begun may not know what the signal means; it reads the list, or does so now.
  if (p.reload_due && state() == model::unit_state::running && now() >= p.again_at) reload_proxy();
}

void unit_runner::write_list() {
  auto& p = *proxy_;
  p.busy = true;
  p.wanted = false;
  p.answering = std::exchange(p.waiting, {});
  struct outcome {
    base::result<proxy_text> made{base::error{}};
    base::result<launch> from{base::error{}};
  };
  auto out = std::make_shared<outcome>();
  services_.disk.run(
      [out, dirs = services_.dirs, policy = p.policy, servers = p.servers, unit = unit_] {
        out->made = make_candidate(dirs, policy, servers);
        if (out->made && out->made->differs) out->from = prepare_launch(unit, nullptr);
      },
      [weak = weak_from_this(), out, ticket = p.ticket] {
        const auto self = weak.lock();
        if (!self || !self->proxy_goes_on(ticket)) return;
        if (!out->made) return self->list_refused({}, out->made.error().message);
        if (!out->made->differs) return self->list_in_use(false);
        if (!out->from) return self->list_refused(out->made->text, out->from.error().message);
        self->check_list(out->made->text, *out->from);
      });
}

void unit_runner::check_list(const std::string& text, const launch& from) {
  hook_run::start(
      services_, unit_, from, {"proxy_check", {with_candidate(proxy_->policy)}, unit_.run.hook_timeout, {}, true},
      [weak = weak_from_this(), text, ticket = proxy_->ticket](const std::string& why) {
        const auto self = weak.lock();
        if (!self || !self->proxy_goes_on(ticket)) return;
        if (!why.empty()) return self->list_refused(text, why);
        auto done = std::make_shared<base::result<void>>();
        self->services_.disk.run([done, text, policy = self->proxy_->policy] { *done = put_in_use(policy, text); },
                                 [weak, done, text, ticket] {
                                   const auto runner = weak.lock();
                                   if (!runner || !runner->proxy_goes_on(ticket)) return;
                                   if (!*done) return runner->list_refused(text, done->error().message);
                                   runner->list_in_use(true);
                                 });
      });
}

void unit_runner::list_in_use(bool changed) {
  auto& p = *proxy_;
  p.busy = false;
  p.in_use = true;
  const bool was_refused = !std::exchange(p.refused, {}).empty();
  p.refused_text.clear();
  if (changed || was_refused)
    publish("proxy_list", fmt::format("upstream {}: {}{}", p.policy.upstream, names_of(p.servers),
                                      p.left_out.empty() ? "" : " (left out: " + p.left_out + ")"));
  if (changed && pid_ != 0) {
    p.reload_due = true;
    p.again_at = {};
  } else if (pid_ == 0) {  // it starts with what is there
    p.reload_due = false;
    drop_proxy_candidate();
  }
  answer_proxy({});
}

// What is in use stays. Told once for each text.
void unit_runner::list_refused(const std::string& text, const std::string& why) {
  auto& p = *proxy_;
  p.busy = false;
  p.again_at = now() + try_again_after;
  const bool told = !p.refused.empty() && (text.empty() ? p.refused == why : p.refused_text == text);
  p.refused = why;
  p.refused_text = text;
  drop_proxy_candidate();
  if (!told)
    publish("proxy_refused",
            fmt::format("the list of upstream {} ({}) was not taken, {}: {}", p.policy.upstream, names_of(p.servers),
                        p.in_use ? "the one before stays in use" : "and there is none", why));
  answer_proxy(why);
}

void unit_runner::answer_proxy(const std::string& why) {
  const auto all = std::exchange(proxy_->answering, {});
  for (const auto& then : all) then(why);
  follow_proxy();
}

void unit_runner::drop_proxy_candidate() {
  services_.disk.run([policy = proxy_->policy] { drop_candidate(policy); });
}

void unit_runner::reload_proxy() {
  auto& p = *proxy_;
  p.busy = true;
  p.reload_due = false;
  send_reload([weak = weak_from_this(), ticket = p.ticket](const std::string& why) {
    const auto self = weak.lock();
    if (!self || !self->proxy_goes_on(ticket)) return;
    self->proxy_->busy = false;
    self->list_told(why);
    if (!why.empty()) self->publish("proxy_refused", "the proxy could not be told of its new list: " + why);
    self->follow_proxy();
  });
}

void unit_runner::list_told(const std::string& why_not) {
  if (why_not.empty()) return drop_proxy_candidate();
  proxy_->reload_due = true;
  proxy_->again_at = now() + try_again_after;
}

// By reload_command, else by reload_signal.
void unit_runner::send_reload(const std::function<void(std::string)>& done) {
  if (!unit_.proxy || unit_.proxy->reload_command.empty()) {
    if (pid_ == 0 || !shim_ || !unit_.run.reload_signal) return done("is not running");
    shim_->signal(*unit_.run.reload_signal, false);
    publish("reloaded", "sent " + model::signal_name(*unit_.run.reload_signal) + " to read the configuration again");
    return done("");
  }
  auto from = std::make_shared<base::result<launch>>(base::error{});
  services_.disk.run(
      [from, unit = unit_] { *from = prepare_launch(unit, nullptr); },
      [weak = weak_from_this(), from, done] {
        const auto self = weak.lock();
        if (!self) return done("it is no longer configured");
        if (!*from) return done(from->error().message);
        if (!self->unit_.proxy || self->pid_ == 0) return done("is not running");
        hook_run::start(self->services_, self->unit_, **from,
                        {"proxy_reload", self->unit_.proxy->reload_command, self->unit_.run.hook_timeout, {}, true},
                        [weak, done](const std::string& why) {
                          const auto runner = weak.lock();
                          if (runner && why.empty())
                            runner->publish("reloaded", "reload_command made it read the list again");
                          done(why);
                        });
      });
}

// The list for a run that begins, or that a person wants to be made anew; `then` gets why there is none.
void unit_runner::renew_list(std::function<void(std::string)> then) {
  if (!proxy_ || !proxy_->looked || proxy_->servers.empty())
    return then(proxy_ && proxy_->in_use ? "" : "there is no list of endpoints yet");
  proxy_->waiting.push_back(std::move(then));
  if (!proxy_->busy) write_list();
}

// The last thing before a start: its directories are there, so that check_command finds what the node would.
void unit_runner::prepare_list(std::uint64_t ticket) {
  if (!unit_.proxy) return dispatch(unit::prepared{});
  renew_list([weak = weak_from_this(), ticket](const std::string& why) {
    const auto self = weak.lock();
    if (!self || ticket != self->prepare_ticket_) return;
    if (why.empty() || (self->proxy_ && self->proxy_->in_use)) return self->dispatch(unit::prepared{});
    self->dispatch(unit::prepared{unit::prepared::verdict::not_yet, why});
  });
}

}  // namespace hasup::daemon
