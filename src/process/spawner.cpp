// Forks of the daemon. Boost.Process 1.81 is not used: its launchers copy the daemon's memory, or run fork handlers
// of Asio in a child that shares it; its process handle takes every wake-up for an end and then waits, on the loop.
#include "process/spawner.hpp"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <boost/asio/buffer.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <utility>

#include "base/unique_fd.hpp"
#include "process/process_tree.hpp"

#ifndef CLOSE_RANGE_CLOEXEC
#define CLOSE_RANGE_CLOEXEC (1U << 2)
#endif

namespace hasup::process {

namespace asio = boost::asio;
using error_code = boost::system::error_code;

namespace {

constexpr const char* default_path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

// Everything that the child needs, prepared before the fork: it shares our memory and may only make system calls.
struct launch {
  std::vector<std::string> files;  // to try in turn
  std::vector<char*> argv;
  std::vector<char*> env;
  const char* directory = "/";
  const program_options* options = nullptr;
  bool change_user = false;
  pid_t parent = ::getpid();
  int standard[3] = {-1, -1, -1};
  int error_pipe = -1;  // closed by a successful exec; else the child writes its errno
};

// A child of vfork: no allocation, no lock, no C++ object; user and groups by system call, because the C library
// would also change the other threads, which are ours.
[[noreturn]] void become(launch& l) {
  const auto give_up = [&l] {
    const int error = errno;
    [[maybe_unused]] const auto told = ::write(l.error_pipe, &error, sizeof error);
    ::_exit(127);
  };
  if (::setsid() < 0) give_up();
  for (int target = 0; target < 3; ++target)
    if (::dup2(l.standard[target], target) < 0) give_up();
  struct sigaction action {};
  action.sa_handler = SIG_DFL;
  // Handlers fall by themselves at exec; what is ignored would stay ignored.
  for (const int number : {SIGPIPE, SIGHUP, SIGINT, SIGTERM, SIGCHLD, SIGQUIT, SIGUSR1, SIGUSR2})
    ::sigaction(number, &action, nullptr);
  if (l.change_user) {
    const program_options& o = *l.options;
    if (::syscall(SYS_setgroups, o.groups.size(), o.groups.data()) != 0) give_up();
    if (o.gid && ::syscall(SYS_setresgid, *o.gid, *o.gid, *o.gid) != 0) give_up();
    if (o.uid && ::syscall(SYS_setresuid, *o.uid, *o.uid, *o.uid) != 0) give_up();
  }
  // Whoever would have read its output and ended it in time is gone. After the change of user, which clears it.
  if (l.options != nullptr) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (::getppid() != l.parent) ::_exit(127);
  }
  if (::chdir(l.directory) != 0) give_up();
  // Ours are close-on-exec already; a library may have been less careful.
  ::syscall(SYS_close_range, 3U, ~0U, CLOSE_RANGE_CLOEXEC);
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  int telling = ENOENT;
  for (const std::string& file : l.files) {
    ::execve(file.c_str(), l.argv.data(), l.env.data());
    if (errno != ENOENT && errno != ENOTDIR) telling = errno;
  }
  errno = telling;
  give_up();
  ::_exit(127);
}

// Signals stay blocked in the child until just before its exec: a handler of ours must not run in it.
pid_t start(launch& l) {
  sigset_t all;
  sigset_t before;
  ::sigfillset(&all);
  ::pthread_sigmask(SIG_SETMASK, &all, &before);
  const pid_t pid = ::vfork();
  if (pid == 0) become(l);
  const int error = errno;
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  errno = error;
  return pid;
}

base::result<pid_t> start_checked(launch& l, const std::string& name) {
  // A pipe and not a variable: under a sanitizer vfork is fork, which neither shares memory nor waits for the exec.
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return base::errno_error("cannot make a pipe for " + name);
  const base::unique_fd read_end{ends[0]};
  base::unique_fd write_end{ends[1]};
  l.error_pipe = write_end.get();
  const pid_t pid = start(l);
  if (pid < 0) return base::errno_error("cannot fork for " + name);
  write_end.reset();
  int error = 0;
  ssize_t got;
  while ((got = ::read(read_end.get(), &error, sizeof error)) < 0 && errno == EINTR) {
  }
  if (got != sizeof error) return pid;
  while (::waitpid(pid, nullptr, 0) < 0 && errno == EINTR) {
  }
  return base::errno_error("cannot run " + name, error);
}

std::vector<std::string> files_to_try(const std::string& name, const std::string& path) {
  if (name.find('/') != std::string::npos) return {name};
  std::vector<std::string> files;
  for (std::size_t at = 0; at <= path.size();) {
    const std::size_t end = std::min(path.find(':', at), path.size());
    if (end > at) files.push_back(path.substr(at, end - at) + "/" + name);
    at = end + 1;
  }
  return files;
}

std::vector<char*> pointers(const std::vector<std::string>& texts) {
  std::vector<char*> all;
  all.reserve(texts.size() + 1);
  for (const std::string& text : texts) all.push_back(const_cast<char*>(text.c_str()));
  all.push_back(nullptr);
  return all;
}

model::exit_status decode(int native) {
  model::exit_status status;
  if (WIFEXITED(native)) status.code = WEXITSTATUS(native);
  if (WIFSIGNALED(native)) {
    status.signal = WTERMSIG(native);
    status.core_dumped = WCOREDUMP(native);
  }
  return status;
}

// The one place that waits. A wake-up of the pidfd is a hint only: Asio may deliver one that was meant for a
// descriptor closed in the same turn of the loop. So it is asked whether the child has ended, and never waited until
// it has.
class ending : public std::enable_shared_from_this<ending> {
 public:
  ending(asio::io_context& io, pid_t pid, std::function<void(model::exit_status)> then)
      : pidfd_(io), pid_(pid), then_(std::move(then)) {}

  void await() {
    if (!pidfd_.is_open()) {
      base::unique_fd fd(static_cast<int>(::syscall(SYS_pidfd_open, pid_, 0)));
      error_code ec;
      if (fd) pidfd_.assign(fd.get(), ec);
      if (!fd || ec) return asio::post(pidfd_.get_executor(), [self = shared_from_this()] { self->then_({}); });
      static_cast<void>(fd.release());  // it is the descriptor's now
    }
    pidfd_.async_wait(asio::posix::descriptor_base::wait_read, [self = shared_from_this()](error_code ec) {
      if (ec) return self->then_({});
      self->look();
    });
  }

 private:
  void look() {
    int native = 0;
    const pid_t got = ::waitpid(pid_, &native, WNOHANG);
    if (got == 0 || (got < 0 && errno == EINTR)) return await();
    error_code ignored;
    pidfd_.close(ignored);
    // With an error somebody else took the zombie: its status is unknown, which is not success.
    then_(got < 0 ? model::exit_status{} : decode(native));
  }

  asio::posix::stream_descriptor pidfd_;
  pid_t pid_;
  std::function<void(model::exit_status)> then_;
};

void wait_for(asio::io_context& io, pid_t pid, std::function<void(model::exit_status)> then) {
  std::make_shared<ending>(io, pid, std::move(then))->await();
}

class running_program : public program, public std::enable_shared_from_this<running_program> {
 public:
  running_program(asio::io_context& io, std::size_t capture, std::function<void(program_result)> handler)
      : io_(io), output_(io), deadline_(io), linger_(io), capture_(capture), handler_(std::move(handler)) {}

  void cancel() override {
    if (finished_) return;
    result_.cancelled = true;
    signal_session(SIGKILL);
  }
  [[nodiscard]] std::int32_t pid() const override { return pid_; }

  void fail(std::string why) {
    result_.error = std::move(why);
    asio::post(io_, [self = shared_from_this()] { self->finish(); });
  }

  void begin(pid_t pid, base::unique_fd output, base::duration timeout) {
    pid_ = pid;
    output_.assign(output.release());
    read_more();
    wait_for(io_, pid, [self = shared_from_this()](model::exit_status exit) { self->on_exit(exit); });
    if (timeout.count() <= 0) return;
    deadline_.expires_after(timeout);
    deadline_.async_wait([self = shared_from_this()](error_code ec) {
      if (ec || self->exited_ || self->finished_) return;
      self->result_.timed_out = true;
      self->signal_session(SIGKILL);
    });
  }

 private:
  static constexpr base::duration linger_time{500};

  void signal_session(int number) {
    // The leader is not reaped while exited_ is false, so its number, which is that of its group, is still its own.
    if (pid_ > 0 && !exited_) ::kill(-pid_, number);
  }

  void read_more() {
    output_.async_read_some(asio::buffer(buffer_), [self = shared_from_this()](error_code ec, std::size_t got) {
      if (ec) return self->on_output_closed();
      std::string& text = self->result_.output;
      text.append(self->buffer_.data(), got);
      if (text.size() > 2 * self->capture_) text.erase(0, text.size() - self->capture_);
      self->read_more();
    });
  }

  void on_output_closed() {
    output_closed_ = true;
    if (exited_) finish();
  }

  void on_exit(model::exit_status exit) {
    exited_ = true;
    result_.exit = exit;
    deadline_.cancel();
    if (output_closed_) return finish();
    linger_.expires_after(linger_time);
    linger_.async_wait([self = shared_from_this()](error_code ec) {
      if (!ec) self->finish();
    });
  }

  void finish() {
    if (std::exchange(finished_, true)) return;
    error_code ignored;
    output_.close(ignored);
    linger_.cancel();
    std::string& text = result_.output;
    if (text.size() > capture_) text.erase(0, text.size() - capture_);
    const auto handler = std::exchange(handler_, nullptr);
    handler(std::move(result_));
  }

  asio::io_context& io_;
  asio::posix::stream_descriptor output_;
  asio::steady_timer deadline_;
  asio::steady_timer linger_;
  std::size_t capture_;
  std::function<void(program_result)> handler_;
  program_result result_;
  std::array<char, 8192> buffer_;
  pid_t pid_ = -1;
  bool exited_ = false;
  bool output_closed_ = false;
  bool finished_ = false;
};

}  // namespace

std::shared_ptr<program> async_run(asio::io_context& io, const std::vector<std::string>& argv,
                                   const std::map<std::string, std::string>& env, const program_options& options,
                                   std::function<void(program_result)> handler) {
  auto running = std::make_shared<running_program>(io, options.capture, std::move(handler));
  if (argv.empty() || argv.front().empty()) {
    running->fail("cannot run an empty command");
    return running;
  }
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) {
    running->fail(base::errno_error("cannot make a pipe for " + argv.front()).message);
    return running;
  }
  base::unique_fd ours(ends[0]);
  const base::unique_fd theirs(ends[1]);
  const base::unique_fd null(::open("/dev/null", O_RDONLY | O_CLOEXEC));

  std::vector<std::string> env_texts;
  for (const auto& [key, value] : env) env_texts.push_back(key + "=" + value);
  const auto path = env.find("PATH");
  launch l;
  l.files = files_to_try(argv.front(), path == env.end() ? default_path : path->second);
  l.argv = pointers(argv);
  l.env = pointers(env_texts);
  l.directory = options.directory.c_str();
  l.options = &options;
  l.change_user = options.uid || options.gid || !options.groups.empty();
  if (::geteuid() != 0 && options.uid.value_or(::geteuid()) == ::geteuid() &&
      options.gid.value_or(::getegid()) == ::getegid())
    l.change_user = false;
  l.standard[0] = null.get();
  l.standard[1] = l.standard[2] = theirs.get();
  const auto pid = start_checked(l, argv.front());
  if (pid.has_error()) {
    running->fail(pid.error().message);
    return running;
  }
  running->begin(*pid, std::move(ours), options.timeout);
  return running;
}

base::result<std::int32_t> spawn_connected(asio::io_context& io, const std::vector<std::string>& argv, int connection,
                                           std::function<void(model::exit_status)> on_exit) {
  launch l;
  l.files = {argv.front()};
  l.argv = pointers(argv);
  l.env = {nullptr};  // it needs none, and secrets of ours must not live on in it
  l.standard[0] = connection;
  l.standard[1] = l.standard[2] = STDERR_FILENO;
  const auto pid = start_checked(l, argv.front());
  if (pid.has_error()) return pid.error();
  wait_for(io, *pid, std::move(on_exit));
  return *pid;
}

void await_inherited(asio::io_context& io) {
  for (const auto child : own_children()) wait_for(io, child, [](model::exit_status) {});
}

}  // namespace hasup::process
