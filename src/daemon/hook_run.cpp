#include "daemon/hook_run.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <chrono>
#include <csignal>

namespace hasup::daemon {
namespace {

constexpr base::duration rest_grace{2'000};  // for what a command leaves behind, between SIGTERM and SIGKILL
constexpr base::duration earlier_grace{5'000};
constexpr unsigned shims_to_lose = 3;
constexpr unsigned log_files = 1;  // beside the current one: hooks say little

std::string last_line(const std::string& output) {
  const auto end = output.find_last_not_of(" \r\n\t");
  if (end == std::string::npos) return {};
  const auto begin = output.rfind('\n', end);
  return output.substr(begin == std::string::npos ? 0 : begin + 1,
                       end - (begin == std::string::npos ? 0 : begin + 1) + 1);
}

// Without empty lines, on one line.
std::string all_lines(const std::string& output) {
  std::string out;
  for (std::size_t begin = 0; begin < output.size();) {
    const auto end = std::min(output.find('\n', begin), output.size());
    if (const auto line = last_line(output.substr(begin, end - begin)); !line.empty())
      out += (out.empty() ? "" : " | ") + line;
    begin = end + 1;
  }
  return out;
}

}  // namespace

std::string hook_claim(const model::instance_id& id, std::string_view hook) {
  return to_text(id) + "+" + std::string(hook);
}

hook_run::hook_run(daemon_services& services, const model::unit& unit, launch from, hook_order order,
                   std::function<void(std::string)> done)
    : services_(services),
      claim_(hook_claim(unit.id, order.name)),
      request_(start::hook_request(unit, from)),
      from_(std::move(from)),
      order_(std::move(order)),
      done_(std::move(done)),
      limit_(services.loop),
      grace_(services.loop),
      rest_(services.loop) {
  auto log = model::log_file_name(unit);
  log.resize(log.size() - std::string_view(".log").size());
  request_.log.path = services.dirs.log + "/" + log + "+" + order_.name + ".log";
  request_.log.max_size = unit.log.max_size;
  request_.log.max_files = log_files;
  from_.env.insert({"HASUP_UNIT", unit.id.unit});
  from_.env.insert({"HASUP_INSTANCE", std::to_string(unit.id.index)});
  for (auto& [name, text] : order_.environment) from_.env[name] = text;
}

std::shared_ptr<hook_run> hook_run::start(daemon_services& services, const model::unit& unit, const launch& from,
                                          hook_order order, std::function<void(std::string)> done) {
  auto ready = from;
  std::string problem;
  if (!order.commands.empty()) {
    auto environment = environment_of(unit, from);
    if (environment)
      ready.env = std::move(*environment);
    else
      problem = environment.error().message;
  }
  std::shared_ptr<hook_run> run(new hook_run(services, unit, std::move(ready), std::move(order), std::move(done)));
  services.hooks->insert(run);
  boost::asio::post(services.loop, [run, problem] {
    if (problem.empty())
      run->open();
    else
      run->finish(problem);
  });
  return run;
}

// One at a time has the shim: whoever comes next waits until the one before is gone.
void hook_run::open() {
  in_line_ = true;
  for (const auto& other : *services_.hooks) {
    if (other.get() == this || other->claim_ != claim_ || !other->in_line_ || other->successor_) continue;
    other->successor_ = shared_from_this();
    return;
  }
  take_shim();
}

void hook_run::take_shim() {
  shim_ = std::make_unique<process::shim_client>(services_.loop, services_.shim, claim_,
                                                 [weak = weak_from_this()](const process::shim_event& e) {
                                                   if (const auto self = weak.lock())
                                                     std::visit([&](const auto& what) { self->on(what); }, e);
                                                 });
  shim_->open();
}

void hook_run::cancel() {
  done_ = {};
  if (alive_) shim_->signal(SIGKILL, true);
}

void hook_run::end(base::duration grace, std::function<bool()> may_kill, std::function<void()> then) {
  done_ = [then = std::move(then)](const std::string&) { then(); };
  if (std::exchange(ending_, true)) return;
  may_kill_ = std::move(may_kill);
  limit_.cancel();
  if (alive_) shim_->signal(SIGTERM, true);
  await_end(grace);
}

void hook_run::await_end(base::duration grace) {
  grace_.expires_after(grace);
  grace_.async_wait([self = shared_from_this(), grace](const boost::system::error_code& ec) {
    if (ec || !self->done_) return;
    if (!self->alive_ || !self->may_kill_()) return self->await_end(grace);
    self->shim_->signal(SIGKILL, true);
  });
}

void hook_run::on(const process::shim_connected& e) {
  const auto& s = e.status;
  if (s.tree_alive) return found(s);
  if (!std::exchange(alive_, false) || run_ == 0) return next();
  if (s.run != run_) return fail("its shim died before it began");
  exit_ = s.exit;  // its shim died, and it ended before the next one came
  over();
}

// Something runs under the claim: what this hasupd began, by way of a shim that died, or what an earlier one began.
void hook_run::found(const process::shim_status& s) {
  alive_ = true;
  if (s.run != run_ && order_.timeout.count() > 0) {
    const auto began = s.started_at.value_or(std::chrono::system_clock::now());
    const auto age = std::chrono::duration_cast<base::duration>(std::chrono::system_clock::now() - began);
    limit(std::max(base::duration{0}, order_.timeout - std::max(base::duration{0}, age)));
  }
  if (s.phase == process::shim_phase::orphaned) return shim_->attach(s.pid, s.start_time, s.run);
  if (s.phase == process::shim_phase::exited) return end_rest();
  if (!done_)
    shim_->signal(SIGKILL, true);
  else if (ending_)
    shim_->signal(SIGTERM, true);
}

void hook_run::next() {
  if (!done_ || ending_ || at_ == order_.commands.size()) return finish("");
  auto argv = fill_command(order_.commands[at_], from_);
  if (!argv) return fail(argv.error().message);
  // A wall clock in nanoseconds only grows enough: what counts is that it is above the number of the last one.
  run_ = std::max<std::uint64_t>(
      shim_->status().run + 1,
      static_cast<std::uint64_t>(std::chrono::system_clock::now().time_since_epoch().count()));
  exit_ = {};
  said_.clear();
  timed_out_ = false;
  alive_ = true;
  auto request = request_;
  request.run = run_;
  request.argv = std::move(*argv);
  request.env = from_.env;
  if (!shim_->heeds(request)) return replace_shim();
  shim_->run(request);
  if (order_.timeout.count() > 0) limit(order_.timeout);
}

// One that an earlier hasupd left, of an older version.
void hook_run::replace_shim() {
  alive_ = false;
  if (++shims_lost_ > shims_to_lose) return fail(services_.shim.shim_program + " is older than hasupd");
  replacing_ = true;
  shim_->exit_shim();
}

void hook_run::limit(base::duration left) {
  limit_.expires_after(left);
  limit_.async_wait([self = shared_from_this()](const boost::system::error_code& ec) {
    if (!ec && self->alive_ && !self->ending_) self->out_of_time();
  });
}

void hook_run::out_of_time() {
  if (run_ != 0) {
    timed_out_ = true;
    return shim_->signal(SIGKILL, true);
  }
  // Whoever began it would have killed it; that one is gone, so it gets a moment more than that.
  shim_->signal(SIGTERM, true);
  rest_.expires_after(earlier_grace);
  rest_.async_wait([self = shared_from_this()](const boost::system::error_code& ec) {
    if (!ec && self->alive_) self->shim_->signal(SIGKILL, true);
  });
}

void hook_run::on(const process::shim_exec_failed& e) {
  alive_ = false;
  if (!done_ || ending_) return finish("");
  // Without its arguments: they may hold a secret.
  fail((at_ < order_.commands.size() ? order_.commands[at_].front() + ": " : "") + e.message);
}

void hook_run::on(const process::shim_main_exited& e) {
  limit_.cancel();
  if (e.run == run_) {
    exit_ = e.exit;
    // Not a disk read: the shim keeps these 64 KiB mapped.
    if (const auto text = process::read_evidence(services_.shim, claim_, run_))
      said_ = order_.tells_all ? all_lines(*text) : last_line(*text);
  }
  // The end of its tree may be on its way already.
  exited_ = true;
  boost::asio::post(services_.loop, [self = shared_from_this()] {
    if (self->exited_) self->end_rest();
  });
}

// What a command started and left in the background. When the hook is being ended it has been asked to end before.
void hook_run::end_rest() {
  if (ending_) return;
  shim_->signal(done_ ? SIGTERM : SIGKILL, true);
  rest_.expires_after(rest_grace);
  rest_.async_wait([self = shared_from_this()](const boost::system::error_code& ec) {
    if (!ec && self->alive_) self->shim_->signal(SIGKILL, true);
  });
}

void hook_run::on(const process::shim_tree_empty& e) {
  alive_ = exited_ = false;
  limit_.cancel();
  rest_.cancel();
  if (e.run != run_) return next();
  over();
}

void hook_run::over() {
  if (!done_ || ending_) return finish("");
  const auto& program = order_.commands[at_].front();  // without its arguments: they may hold a secret
  ++at_;
  if (exit_.code == 0 && !timed_out_) return next();
  std::string why = timed_out_
                        ? program + " took longer than " + base::format_duration(order_.timeout) + " and was killed"
                        : program + " ended with " + to_text(exit_);
  if (!said_.empty()) why += ": " + said_.substr(0, order_.tells_all ? 1000 : 200);
  fail(why);
}

void hook_run::on(const process::shim_lost& e) {
  if (leaving_) return gone();
  if (std::exchange(replacing_, false)) return shim_->open();
  if (alive_ && ++shims_lost_ <= shims_to_lose) return shim_->open();
  fail("its shim " + std::string(alive_ ? "died again and again: " : "could not be started: ") + e.message);
}

void hook_run::on(const process::shim_busy& e) {
  if (leaving_) return gone();
  fail(e.message);
}

void hook_run::finish(const std::string& why) {
  limit_.cancel();
  grace_.cancel();
  rest_.cancel();
  const auto self = shared_from_this();
  if (shim_ && shim_->connected()) {
    leaving_ = true;
    shim_->exit_shim();
  } else {
    gone();
  }
  if (const auto done = std::exchange(done_, {})) done(why);
}

void hook_run::gone() {
  if (successor_)
    boost::asio::post(services_.loop, [next = std::exchange(successor_, nullptr)] { next->take_shim(); });
  services_.hooks->erase(shared_from_this());
}

}  // namespace hasup::daemon
