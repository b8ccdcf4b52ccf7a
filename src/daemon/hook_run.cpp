#include "daemon/hook_run.hpp"

#include <fcntl.h>
#include <fmt/chrono.h>
#include <fmt/format.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <chrono>

#include "base/unique_fd.hpp"
#include "daemon/disk_thread.hpp"
#include "process/process_tree.hpp"

namespace hasup::daemon {
namespace {

constexpr std::chrono::milliseconds look_again_after{50};

// Hooks say little: one file and the one before it are enough.
void append_lines(const std::string& path, std::uint64_t max_size, const std::string& lines) {
  const base::unique_fd fd{::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0640)};
  if (!fd) return;
  struct stat st {};
  if (::fstat(fd.get(), &st) == 0 && static_cast<std::uint64_t>(st.st_size) > max_size)
    ::rename(path.c_str(), (path + ".1").c_str());  // this file, still open, is the end of the old one
  [[maybe_unused]] const auto written =
      ::write(fd.get(), lines.data(), lines.size());  // a full disk: the event stays
}

std::string stamp_now() {
  using namespace std::chrono;
  const auto now = system_clock::now().time_since_epoch();
  const auto whole = duration_cast<seconds>(now);
  return fmt::format("{:%Y-%m-%dT%H:%M:%S}.{:09}Z", fmt::gmtime(static_cast<std::time_t>(whole.count())),
                     duration_cast<nanoseconds>(now - whole).count());
}

std::string last_line(const std::string& output) {
  const auto end = output.find_last_not_of(" \r\n\t");
  if (end == std::string::npos) return {};
  const auto begin = output.rfind('\n', end);
  return output.substr(begin == std::string::npos ? 0 : begin + 1,
                       end - (begin == std::string::npos ? 0 : begin + 1) + 1);
}

}  // namespace

std::string hook_log_name(const model::unit& unit) {
  auto name = model::log_file_name(unit);
  return name.substr(0, name.size() - std::string_view(".log").size()) + "+hooks.log";
}

hook_run::hook_run(daemon_services& services, const model::unit& unit, launch from, hook_order order,
                   std::function<void(std::string)> done)
    : services_(services),
      running_(services.hooks_running),
      from_(std::move(from)),
      order_(std::move(order)),
      options_(program_options_of(unit, from_)),
      log_path_(services.dirs.log + "/" + hook_log_name(unit)),
      log_max_size_(unit.log.max_size),
      done_(std::move(done)),
      grace_(services.loop),
      rest_(services.loop) {
  options_.timeout = order_.timeout;
  from_.env.insert({"HASUP_UNIT", unit.id.unit});
  from_.env.insert({"HASUP_INSTANCE", std::to_string(unit.id.index)});
  for (auto& [name, text] : order_.environment) from_.env[name] = text;
  ++*running_;
}

hook_run::~hook_run() {
  --*running_;
}

std::shared_ptr<hook_run> hook_run::start(daemon_services& services, const model::unit& unit, const launch& from,
                                          hook_order order, std::function<void(std::string)> done) {
  auto environment = environment_of(unit, from);
  auto ready = from;
  std::string problem;
  if (environment)
    ready.env = std::move(*environment);
  else
    problem = environment.error().message;
  std::shared_ptr<hook_run> run(new hook_run(services, unit, std::move(ready), std::move(order), std::move(done)));
  boost::asio::post(services.loop, [run, problem] {
    if (problem.empty())
      run->next();
    else
      run->finish(problem);
  });
  return run;
}

void hook_run::cancel() {
  done_ = {};
  if (program_) program_->cancel();
}

void hook_run::end(base::duration grace, std::function<bool()> may_kill, std::function<void()> then) {
  done_ = [then = std::move(then)](const std::string&) { then(); };
  if (std::exchange(ending_, true)) return;
  may_kill_ = std::move(may_kill);
  if (!program_) return;  // next(), which is on its way, sees it
  program_->terminate();
  await_end(grace);
}

void hook_run::await_end(base::duration grace) {
  grace_.expires_after(grace);
  grace_.async_wait([self = shared_from_this(), grace](const boost::system::error_code& ec) {
    if (ec || !self->done_) return;
    if (!self->may_kill_()) return self->await_end(grace);
    self->killed_ = true;
    if (self->program_) self->program_->cancel();
  });
}

// What a command started may outlive it, and has its time too. There is nothing to wait on: it is nobody's child.
void hook_run::await_rest() {
  if (!done_) return;
  const auto rest = process::session_members(session_);
  if (rest.empty()) {
    grace_.cancel();
    return finish("");
  }
  if (killed_)
    for (const auto pid : rest) ::kill(pid, SIGKILL);
  rest_.expires_after(look_again_after);
  rest_.async_wait([self = shared_from_this()](const boost::system::error_code& ec) {
    if (!ec) self->await_rest();
  });
}

void hook_run::next() {
  if (!done_) return;
  if (ending_ || at_ == order_.commands.size()) return finish("");
  const auto argv = fill_command(order_.commands[at_], from_);
  if (!argv) return finish(order_.name + ": " + argv.error().message);
  // Without its arguments: they may hold a secret.
  program_ = process::async_run(services_.loop, *argv, from_.env, options_,
                                [self = shared_from_this(), name = order_.commands[at_].front()](
                                    const process::program_result& r) { self->ended(name, r); });
  session_ = program_->pid();
}

void hook_run::ended(const std::string& program, const process::program_result& r) {
  program_.reset();
  log(r.output);
  if (!done_) return;
  if (ending_) return await_rest();
  ++at_;
  if (r.succeeded()) return next();
  std::string why = order_.name + ": ";
  if (!r.error.empty())
    why += r.error;
  else if (r.timed_out)
    why += program + " took longer than " + base::format_duration(order_.timeout) + " and was killed";
  else
    why += program + " ended with " + to_text(r.exit);
  if (const auto said = last_line(r.output); !said.empty()) why += ": " + said.substr(0, 200);
  finish(std::move(why));
}

void hook_run::finish(std::string why) {
  if (const auto done = std::exchange(done_, {})) done(std::move(why));
}

void hook_run::log(const std::string& output) {
  if (output.empty()) return;
  const auto stamp = stamp_now();
  std::string lines;
  for (std::size_t at = 0; at < output.size();) {
    const auto end = std::min(output.find('\n', at), output.size());
    lines += stamp + " stdout F " + order_.name + ": " + output.substr(at, end - at) + "\n";
    at = end + 1;
  }
  services_.disk.run([path = log_path_, max = log_max_size_, lines] { append_lines(path, max, lines); });
}

}  // namespace hasup::daemon
