#include "daemon/worker_runner.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <optional>

#include "base/unique_fd.hpp"
#include "daemon/disk_thread.hpp"

namespace hasup::daemon {
namespace {

constexpr std::chrono::milliseconds progress_every{500};
constexpr std::chrono::seconds kill_after{10};
constexpr std::chrono::seconds leave_after{5};
constexpr std::size_t answer_limit = 16 << 20;

// The worker's user may write here, so nothing but a plain file of bounded size is read.
std::string read_answer(const std::string& path) {
  const base::unique_fd fd{::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK)};
  struct stat st {};
  if (!fd || ::fstat(fd.get(), &st) != 0 || !S_ISREG(st.st_mode)) return {};
  if (static_cast<std::size_t>(st.st_size) > answer_limit) return {};
  std::string text(static_cast<std::size_t>(st.st_size), '\0');
  const auto n = ::pread(fd.get(), text.data(), text.size(), 0);
  text.resize(n > 0 ? static_cast<std::size_t>(n) : 0);
  return text;
}

// For the worker's group alone, and not for it to write: a source's proxy may have a password.
bool write_file(const std::string& path, const std::string& text, const process::account& as) {
  const base::unique_fd fd{::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600)};
  if (!fd) return false;
  if (!as.own && (::fchown(fd.get(), static_cast<uid_t>(-1), as.gid) != 0 || ::fchmod(fd.get(), 0640) != 0))
    return false;
  return ::write(fd.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size());
}

}  // namespace

struct worker_runner::impl : std::enable_shared_from_this<impl> {
  impl(daemon_services& s, std::string n)
      : services(s),
        instance(std::move(n)),
        job_dir(s.dirs.state + "/jobs/" + instance),
        answer_dir(s.dirs.state + "/work/" + instance),
        progress_timer(s.loop),
        kill_timer(s.loop),
        leave_timer(s.loop) {}

  daemon_services& services;
  std::string instance;
  std::string job_dir;     // the daemon's own: what is asked
  std::string answer_dir;  // the unit user's: what comes back
  boost::asio::steady_timer progress_timer;
  boost::asio::steady_timer kill_timer;
  boost::asio::steady_timer leave_timer;
  std::unique_ptr<process::shim_client> shim;
  std::function<void(const ports::worker_progress&)> on_progress;
  std::function<void(std::optional<ports::worker_mode>, ports::worker_result)> on_done;
  std::function<bool(const ports::worker_job&)> wanted;  // taking up: is it that one?
  std::string job_text;
  ports::worker_mode mode = ports::worker_mode::inspect;
  process::account as;
  std::optional<ports::worker_mode> taken;  // taking up: what was found
  bool taking_up = false;
  bool asked = false;      // the shim was told to run this job
  bool replacing = false;  // an older, other job is being ended first
  bool running = false;
  bool cancelled = false;
  bool left_behind = false;  // part of this job's tree, or of one before it
  bool abandon = false;      // the shim that would wait for it
  struct order {
    ports::worker_job job;
    process::account as;
    std::function<void(const ports::worker_progress&)> progress;
    std::function<void(ports::worker_result)> done;
  };
  std::optional<order> next;  // waits for the end of the job that runs
  bool clearing = false;      // instead of a job: ends what is left of an earlier one
  std::function<void()> on_free;
  bool ending = false;  // exit_shim was asked for; shim_lost follows
  bool open_after_end = false;
  model::exit_status exit;

  [[nodiscard]] std::string job_path() const { return job_dir + "/job.json"; }
  [[nodiscard]] std::string result_path() const { return answer_dir + "/result.json"; }
  [[nodiscard]] std::string progress_path() const { return answer_dir + "/progress.json"; }

  void take(order o) {
    o.job.result_path = result_path();
    o.job.progress_path = progress_path();
    job_text = ports::encode(o.job);
    mode = o.job.mode;
    as = o.as;
    on_progress = std::move(o.progress);
    on_done = [done = std::move(o.done)](auto, ports::worker_result r) { done(std::move(r)); };
    taken.reset();
    cancelled = left_behind = abandon = asked = false;
    exit = {};
    begin();
  }

  void look_for_left() {
    cancelled = left_behind = abandon = asked = false;
    exit = {};
    taking_up = true;
    taken.reset();
    auto there = std::make_shared<bool>();
    services.disk.run([self = shared_from_this(), there] { *there = ::access(self->job_path().c_str(), F_OK) == 0; },
                      [self = shared_from_this(), there] {
                        if (!self->on_done) return;
                        *there ? self->open() : self->nothing_taken_up();
                      });
  }

  void begin() {
    auto failure = std::make_shared<std::string>();
    services.disk.run(
        [self = shared_from_this(), failure] {
          std::error_code ec;
          std::filesystem::create_directories(self->job_dir, ec);
          std::filesystem::create_directories(self->answer_dir, ec);
          if (!self->as.own && ::chown(self->answer_dir.c_str(), self->as.uid, self->as.gid) != 0)
            *failure = base::errno_error("cannot give " + self->answer_dir + " to the unit's user").message;
        },
        [self = shared_from_this(), failure] {
          if (!failure->empty()) return self->finish(ports::internal_failure(*failure));
          self->open();
        });
  }

  void open() {
    open_after_end = ending;
    if (ending) return;
    shim = std::make_unique<process::shim_client>(services.loop, services.shim, instance + std::string(worker_suffix),
                                                  [weak = weak_from_this()](const process::shim_event& e) {
                                                    if (const auto self = weak.lock())
                                                      std::visit([&](const auto& what) { self->on(what); }, e);
                                                  });
    shim->open();
  }

  void spawn() {
    process::run_request r;
    // A wall clock in nanoseconds only grows enough: what counts is that it is above the number of the last job.
    r.run = std::max<std::uint64_t>(
        shim->status().run + 1,
        static_cast<std::uint64_t>(std::chrono::system_clock::now().time_since_epoch().count()));
    r.argv = {services.worker_program, job_path()};
    r.env = {{"PATH", "/usr/bin:/bin"}, {"LANG", "C.UTF-8"}, {"HOME", as.home}};
    if (mode == ports::worker_mode::select || mode == ports::worker_mode::fetch)
      for (const char* name : ports::ways_out)
        if (const char* value = std::getenv(name)) r.env[name] = value;
    if (!as.own) {
      r.uid = as.uid;
      r.gid = as.gid;
      r.groups = as.groups;
    }
    r.umask = 077;
    // The job file says what runs: it is written when nothing does, and nothing of an earlier job is left by then.
    auto failure = std::make_shared<std::string>();
    services.disk.run(
        [self = shared_from_this(), failure] {
          ::unlink(self->job_path().c_str());
          ::unlink(self->result_path().c_str());
          ::unlink(self->progress_path().c_str());
          if (!write_file(self->job_path(), self->job_text, self->as))
            *failure = base::errno_error("cannot write " + self->job_path()).message;
        },
        [self = shared_from_this(), r, failure] {
          if (!self->shim) return;
          if (!failure->empty()) return self->finish(ports::internal_failure(*failure));
          self->asked = true;
          self->shim->run(r);
          self->follow();
        });
  }

  // The job runs, and is ours.
  void follow() {
    running = true;
    watch_progress();
    if (cancelled) signal_cancel();
  }

  void on(const process::shim_connected& e) {
    if (clearing && !e.status.tree_alive) return finish({});
    if (clearing) {
      running = true;
      return kill_tree();
    }
    auto left = std::make_shared<std::string>();
    services.disk.run([path = job_path(), left] { *left = read_answer(path); },
                      [self = shared_from_this(), left, of = shim.get()] {
                        if (self->shim.get() == of && self->on_done) self->go_on_with_left(*left);
                      });
  }

  // With what an earlier hasupd left: `left` is what it asked for last.
  void go_on_with_left(const std::string& left) {
    if (taking_up) {
      const auto job = ports::decode_job(left);
      if (job && wanted(*job)) taken = job->mode;
    }
    // Once ours was asked for, the job file has its text; what runs then is one that the shim had begun before.
    const bool ours = taking_up ? taken.has_value() : !asked && left == job_text;
    if (!shim->status().tree_alive) {
      if (!taking_up) return spawn();
      return taken ? read_result() : nothing_taken_up();
    }
    replacing = !ours;
    if (ours && shim->status().phase != process::shim_phase::exited) return follow();
    running = true;
    kill_tree();
  }

  void nothing_taken_up() { finish(ports::internal_failure("no job was left")); }
  void on(const process::shim_started&) {}
  void on(const process::shim_exec_failed& e) {
    finish(ports::internal_failure(services.worker_program + ": " + e.message));
  }
  void on(const process::shim_main_exited& e) {
    exit = e.exit;
    // Whatever it left behind must not go on writing.
    kill_tree();
  }

  void kill_tree() {
    shim->signal(SIGKILL, true);
    leave_timer.expires_after(leave_after);
    leave_timer.async_wait([weak = weak_from_this()](const boost::system::error_code& ec) {
      const auto self = weak.lock();
      if (!ec && self && self->shim && self->running) self->leave_the_rest();
    });
  }

  // What no signal ends waits in the kernel for a mount that hangs (snapshot/fetch/local_reader.hpp). It has nothing
  // of the job's, so nobody needs to wait for it but this shim, which is ended; the next one does not find it. Of any
  // other process the next shim finds the mark, and then that one is waited for: whoever may write in .hasup is never
  // left behind.
  void leave_the_rest() {
    if (!shim->connected() || std::exchange(left_behind, true)) return;
    abandon = true;
    running = false;
    if (!clearing && !replacing) return read_result();
    open_after_end = std::exchange(replacing, false);
    end_shim();
    if (clearing) finish({});
  }

  void end_shim() {
    ending = true;
    if (const auto pid = shim->status().shim_pid; std::exchange(abandon, false) && pid > 1)
      ::kill(pid, SIGKILL);
    else
      shim->exit_shim();
  }
  void on(const process::shim_logs_dropped&) {}
  void on(const process::shim_not_adjusted&) {}
  void on(const process::shim_tree_empty&) {
    leave_timer.cancel();
    if (!running) return;  // its result is being read
    running = false;
    if (clearing) return finish({});
    if (replacing) {
      replacing = false;
      return taking_up ? nothing_taken_up() : spawn();
    }
    read_result();
  }

  void read_result() {
    auto text = std::make_shared<std::string>();
    services.disk.run(
        [self = shared_from_this(), text] { *text = read_answer(self->result_path()); },
        [self = shared_from_this(), text] {
          auto result = ports::decode_result(*text);
          if (result) return self->finish(std::move(*result));
          self->finish(ports::internal_failure(self->cancelled ? "cancelled"
                                                               : "hasup-worker ended with " + to_text(self->exit) +
                                                                     " and without an answer"));
        });
  }
  void on(const process::shim_lost& e) {
    if (ending) {
      // This very client is calling: a new one takes its place once the call has returned, and not before (open).
      boost::asio::post(services.loop, [self = shared_from_this()] {
        if (!std::exchange(self->ending, false)) return;
        self->shim.reset();
        if (std::exchange(self->open_after_end, false)) self->open();
      });
      return;
    }
    if (!on_done) return;
    // The worker itself may live on without its shim; the next job finds the claim free and the inspect finds the
    // writer.
    finish(ports::internal_failure("the worker's shim is gone: " + e.message));
  }
  void on(const process::shim_busy& e) { finish(ports::internal_failure(e.message)); }

  void finish(ports::worker_result result) {
    progress_timer.cancel();
    kill_timer.cancel();
    leave_timer.cancel();
    running = false;
    const auto done = std::exchange(on_done, {});
    on_progress = {};
    if (shim && shim->connected() && !ending) end_shim();
    services.disk.run([path = job_path()] { ::unlink(path.c_str()); });  // or it is taken for a running one later
    boost::asio::post(services.loop, [done, what = taken, result = std::move(result)] {
      if (done) done(what, result);
    });
    clearing = taking_up = false;
    wanted = {};
    if (auto waiting = std::exchange(next, std::nullopt)) return take(std::move(*waiting));
    boost::asio::post(services.loop, [self = shared_from_this()] { self->tell_free(); });
  }

  void tell_free() {
    if (on_done || next || !on_free) return;
    std::exchange(on_free, {})();
  }

  void cancel() {
    if (auto waiting = std::exchange(next, std::nullopt))
      boost::asio::post(services.loop, [done = waiting->done] {
        if (done) done(ports::internal_failure("cancelled"));
      });
    if (!on_done || std::exchange(cancelled, true)) return;
    if (shim && running) signal_cancel();
  }

  void watch_progress() {
    progress_timer.expires_after(progress_every);
    progress_timer.async_wait([weak = weak_from_this()](const boost::system::error_code& ec) {
      const auto self = weak.lock();
      if (ec || !self || !self->running) return;
      auto text = std::make_shared<std::string>();
      self->services.disk.run([self, text] { *text = read_answer(self->progress_path()); },
                              [self, text] {
                                if (!self->running) return;
                                if (const auto p = ports::decode_progress(*text); p && self->on_progress)
                                  self->on_progress(*p);
                                self->watch_progress();
                              });
    });
  }

  void signal_cancel() {
    shim->signal(SIGTERM, false);
    kill_timer.expires_after(kill_after);
    kill_timer.async_wait([weak = weak_from_this()](const boost::system::error_code& ec) {
      const auto self = weak.lock();
      if (!ec && self && self->shim && self->running) self->shim->signal(SIGKILL, true);
    });
  }
};

worker_runner::worker_runner(daemon_services& services, std::string instance)
    : impl_(std::make_shared<impl>(services, std::move(instance))) {}

worker_runner::~worker_runner() {
  impl_->next.reset();
  impl_->on_done = {};
  impl_->on_free = {};
  impl_->on_progress = {};
  impl_->progress_timer.cancel();
  impl_->kill_timer.cancel();
  impl_->leave_timer.cancel();
}

void worker_runner::run(ports::worker_job job, const process::account& as,
                        std::function<void(const ports::worker_progress&)> progress,
                        std::function<void(ports::worker_result)> done) {
  impl::order o{std::move(job), as, std::move(progress), std::move(done)};
  if (!impl_->on_done) return impl_->take(std::move(o));
  impl_->cancel();
  impl_->next = std::move(o);
}

void worker_runner::take_up(
    std::function<bool(const ports::worker_job&)> wanted, std::function<void(const ports::worker_progress&)> progress,
    std::function<void(std::optional<ports::worker_mode>, const ports::worker_result&)> done) {
  if (busy())
    return boost::asio::post(impl_->services.loop, [done = std::move(done)] {
      done(std::nullopt, ports::internal_failure("another job runs"));
    });
  impl_->wanted = std::move(wanted);
  impl_->on_progress = std::move(progress);
  impl_->on_done = std::move(done);
  impl_->look_for_left();
}

void worker_runner::cancel() {
  impl_->cancel();
}

void worker_runner::when_free(std::function<void()> then) {
  impl_->on_free = std::move(then);
  boost::asio::post(impl_->services.loop, [impl = impl_] { impl->tell_free(); });
}

void worker_runner::clear_left() {
  if (busy()) return;
  impl_->clearing = true;
  impl_->on_done = [](auto, const ports::worker_result&) {};
  impl_->open();
}

bool worker_runner::busy() const {
  return static_cast<bool>(impl_->on_done) || impl_->next.has_value();
}

std::int32_t worker_runner::pid() const {
  return impl_->shim ? impl_->shim->status().pid : 0;
}

}  // namespace hasup::daemon
