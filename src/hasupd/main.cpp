// hasupd: takes the lock, takes over what runs, serves the control API until it is told to go. Its end, however it
// comes, is not noticed by any node: SIGTERM lets go of them, and the next hasupd takes them over.
#include <fcntl.h>
#include <fmt/format.h>
#include <grp.h>
#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <iostream>
#include <map>

#include "base/unique_fd.hpp"
#include "config/paths.hpp"
#include "control/server.hpp"
#include "daemon/data_look.hpp"
#include "daemon/log_keeper.hpp"
#include "daemon/supervisor.hpp"
#include "hasup/exit_code.hpp"
#include "hasup/version.hpp"
#include "hasupd/hand_over.hpp"
#include "hasupd/log_queue.hpp"
#include "hasupd/notify.hpp"
#include "hasupd/self_check.hpp"
#include "process/cgroup.hpp"
#include "process/spawner.hpp"
#include "start/probe_programs.hpp"
#include "start/trust.hpp"

namespace {

using hasup::exit_code;
using hasup::base::unique_fd;

constexpr const char* usage = R"(hasupd keeps the units of the configuration running. It stays in the foreground.

Usage: hasupd [--version] [--help] [--self-check]

  --self-check   read the configuration, the state and the records of what runs, say whether this program could take
                 over from a running hasupd, and exit; changes nothing

Directories: HASUP_HOME=D puts everything below D; else as root /etc/hasup, /var/lib/hasup, /run/hasup, /var/log/hasup,
and as a user the XDG directories. SIGTERM ends hasupd and leaves all units running; `hasup stop --all` stops them.
SIGHUP reads the unit files again, as `hasup apply` does.
)";

int fail(exit_code code, const std::string& message) {
  std::cerr << "hasupd: " << message << "\n";
  return static_cast<int>(code);
}

// As systemd's RuntimeDirectory: private but for the ways that others must walk.
bool make_directories(const hasup::config::directories& dirs, std::string& problem) {
  const auto make = [&](const std::string& path, mode_t mode) {
    std::error_code ec;
    const bool fresh = std::filesystem::create_directories(path, ec);
    if (ec)
      problem = "cannot create " + path + ": " + ec.message();
    else if (fresh && ::chmod(path.c_str(), mode) != 0)
      problem = "cannot set the mode of " + path + ": " + std::strerror(errno);
    return problem.empty();
  };
  return make(dirs.state, 0755) && make(dirs.state + "/claims", 0700) && make(dirs.state + "/records", 0700) &&
         make(dirs.state + "/evidence", 0700) && make(dirs.state + "/journals", 0700) &&
         make(dirs.state + "/specs", 0700) && make(dirs.state + "/jobs", 0755) && make(dirs.state + "/work", 0755) &&
         make(dirs.state + "/events", 0755) && make(dirs.run, 0755) && make(dirs.run + "/shim", 0700) &&
         make(dirs.log, 0755);
}

// Held for life, and over an upgrade. An open file description lock: a second hasupd, in whatever process, is
// refused.
unique_fd take_lock(const std::string& path, unique_fd inherited, std::string& holder) {
  unique_fd fd = std::move(inherited);
  if (!fd) fd.reset(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644));
  if (!fd) {
    holder = std::strerror(errno);
    return {};
  }
  struct flock lock {};
  lock.l_type = F_WRLCK;
  lock.l_whence = SEEK_SET;
  // A hasupd that was killed while it forked leaves a child that holds the lock until its exec.
  constexpr timespec pause{0, 20'000'000};
  int tries = 50;
  int taken = -1;
  while ((taken = ::fcntl(fd.get(), F_OFD_SETLK, &lock)) != 0 && --tries > 0) ::nanosleep(&pause, nullptr);
  if (taken != 0) {
    char text[32] = {};
    const auto n = ::pread(fd.get(), text, sizeof text - 1, 0);
    holder = n > 0 ? "pid " + std::string(text, strcspn(text, "\n")) : "another process";
    return {};
  }
  const auto pid = std::to_string(::getpid()) + "\n";
  if (::ftruncate(fd.get(), 0) != 0 || ::pwrite(fd.get(), pid.data(), pid.size(), 0) < 0) holder.clear();
  return fd;
}

spdlog::level::level_enum level_of(const std::string& name) {
  const auto level = spdlog::level::from_str(name);
  return level == spdlog::level::off ? spdlog::level::info : level;
}

void start_logging(const hasup::config::directories& dirs) {
  auto queue =
      std::make_shared<hasup::hasupd::log_queue>(std::make_shared<spdlog::sinks::stderr_color_sink_mt>(), 1024);
  spdlog::set_default_logger(std::make_shared<spdlog::logger>("hasupd", std::move(queue)));
  spdlog::set_pattern("%Y-%m-%dT%H:%M:%S.%e %^%l%$ %v");
  spdlog::set_level(level_of(hasup::config::load(dirs).settings.log_level));
}

hasup::control::server_options socket_options(const hasup::config::directories& dirs) {
  hasup::control::server_options o;
  o.directory = dirs.run;
  if (::geteuid() == 0) {
    if (const auto* group = ::getgrnam("hasup")) {  // before the loop runs
      o.mode = 0660;
      o.gid = group->gr_gid;
    }
  }
  return o;
}

// HASUP_CGROUP_ROOT, else [cgroup] root, else the scope that packaging made; not the latter for a HASUP_HOME, of
// which there may be several. Null: without, which costs limits but no promise.
std::unique_ptr<hasup::process::cgroup_tree> find_cgroups(const hasup::config::directories& dirs) {
  const char* given = std::getenv("HASUP_CGROUP_ROOT");
  std::string root = given != nullptr ? given : hasup::config::load(dirs).settings.cgroup_root;
  if (root.empty() && std::getenv("HASUP_HOME") == nullptr) root = hasup::process::find_nodes_scope();
  if (root.empty() || root == "off") return nullptr;
  auto tree = hasup::process::cgroup_tree::open(root);
  if (!tree) {
    spdlog::warn("no cgroups for the nodes: {}", tree.error().message);
    return nullptr;
  }
  spdlog::info("nodes live in {}", root);
  return std::move(*tree);
}

// How a daemon's time in this process ended.
struct ending {
  int code = 0;
  std::string successor{};  // the program that takes its place; "" = none
  unique_fd listening{};    // for it
};

// What the daemon says of itself once it is up.
struct announcement {
  std::string kind{};
  std::string why{};
  std::map<std::string, std::string> detail{};
};

ending serve(const hasup::config::directories& dirs, const std::string& program, unique_fd listening,
             const announcement& news) {
  using namespace hasup;
  const auto program_dir = std::filesystem::path(program).parent_path().string();
  const auto cgroups = find_cgroups(dirs);  // outlives the threads, which take leaves away
  boost::asio::io_context loop{1};
  process::await_inherited(loop);
  daemon::disk_thread event_writer(loop);  // outlives the other one, which waits for it
  daemon::disk_thread disk(loop);
  daemon::event_log events(event_writer, dirs.state + "/events");
  // The one file that is synced at each restart: nothing that a start waits for may stand behind that.
  daemon::disk_thread intent_disk(loop);
  daemon::intent_file intent(intent_disk, dirs.state + "/intent.json");
  // An exit that the intent takes for told is in the file of events.
  intent.before_write = [&event_writer] { event_writer.wait_done(); };
  auto was = intent.read();
  if (!was) {
    // Without it a unit stopped by hand would start again: a person has to look first.
    return {
        fail(exit_code::failed, was.error().message +
                                    "; move it away to begin with what is enabled: what runs is taken over, what was "
                                    "stopped or set by hand is forgotten")};
  }
  probe::prober prober(loop, start::run_probe_programs(loop));
  daemon::data_look look(loop, program_dir + "/hasup-worker");
  daemon::daemon_services services{
      loop,
      disk,
      look,
      prober,
      dirs,
      {dirs.state, dirs.run, program_dir + "/hasup-shim", cgroups ? cgroups->shims() : ""},
      program_dir + "/hasup-worker",
      cgroups.get(),
      program,
      {&intent_disk, &event_writer}};
  daemon::supervisor supervisor(services, events, intent);
  auto server = control::server::open(loop, socket_options(dirs), supervisor, std::move(listening));
  if (!server) return {fail(exit_code::failed, server.error().message)};
  supervisor.set_server(server->get());
  ending end;
  supervisor.on_upgrade([&](const std::string& successor) {
    end.successor = successor;
    loop.stop();
  });

  boost::asio::signal_set signals(loop, SIGTERM, SIGINT, SIGHUP);
  std::function<void()> wait_signal = [&] {
    signals.async_wait([&](const boost::system::error_code& ec, int number) {
      if (ec) return;
      if (number == SIGHUP) {
        control::command apply;
        apply.verb = "apply";
        supervisor.execute_async(apply, {},
                                 [](const control::command_reply& r) { spdlog::info("apply: {}", r.message); });
        return wait_signal();
      }
      spdlog::info("{}: leaving; all units run on", strsignal(number));
      hasupd::notify("STOPPING=1");
      loop.stop();
    });
  };
  wait_signal();

  supervisor.boot(std::move(*was));
  daemon::log_keeper log_keeper(loop, dirs.log, program_dir + "/hasup-worker-logs",
                                [&supervisor] { return supervisor.kept_logs(); });
  log_keeper.start();
  spdlog::info("hasupd {} is up, pid {}, socket {}/{}", hasup::version, ::getpid(), dirs.run, control::socket_name);
  if (!news.kind.empty()) supervisor.announce(news.kind, news.why, news.detail);
  hasupd::notify("READY=1\nSTATUS=supervising");
  loop.run();
  supervisor.set_server(nullptr);
  supervisor.leave();
  if (end.successor.empty())
    (*server)->close();
  else
    end.listening = (*server)->hand_over();
  return end;  // behind it everything is written: the disk thread is waited for
}

// Serves, and makes way for the program of an upgrade for as often as one comes. Should it not even start although it
// passed its self-check, this one takes up again what it let go: nothing was stopped.
int serve_and_hand_over(const hasup::config::directories& dirs, hasup::hasupd::inheritance from,
                        const unique_fd& lock) {
  using namespace hasup;
  const auto program = hasupd::own_program();
  announcement news;
  if (!from.version.empty())
    news = {"upgraded",
            fmt::format("hasupd {} took over from {}; pid {}, {}", hasup::version, from.version, ::getpid(), program),
            {{"from", from.version}, {"to", hasup::version}, {"program", program}}};
  auto listening = std::move(from.listening);
  for (;;) {
    start_logging(dirs);
    auto end = serve(dirs, program, std::move(listening), news);
    if (end.successor.empty()) {
      spdlog::shutdown();
      return end.code;
    }
    spdlog::info("making way for {}; all units run on", end.successor);
    spdlog::shutdown();
    hasupd::notify("RELOADING=1\nMONOTONIC_USEC=" + hasupd::monotonic_microseconds() + "\nSTATUS=upgrading");
    const auto why = hasupd::replace_program(end.successor, lock.get(), end.listening.get());
    news = {"upgrade_failed", fmt::format("{}; hasupd {} goes on", why, hasup::version)};
    listening = std::move(end.listening);
  }
}

}  // namespace

int main(int argc, char** argv) {
  bool check = false;
  for (int i = 1; i < argc; ++i) {
    const std::string_view word = argv[i];
    if (word == "--help" || word == "-h") return std::cout << usage, 0;
    if (word == "--version") return std::cout << "hasupd " << hasup::version << "\n", 0;
    if (word == "--self-check")
      check = true;
    else
      return fail(exit_code::usage, "unknown argument \"" + std::string(word) + "\"; see hasupd --help");
  }
  const auto dirs = hasup::config::find_directories();
  if (!dirs) return fail(exit_code::failed, dirs.error().message);
  if (check) return hasup::hasupd::self_check(*dirs, hasup::hasupd::own_program());

  if (const auto trusted = hasup::start::check_trust(*dirs); !trusted)
    return fail(exit_code::permission_denied, trusted.error().message);
  std::string problem;
  if (!make_directories(*dirs, problem)) return fail(exit_code::failed, problem);
  std::string holder;
  auto from = hasup::hasupd::take_inheritance(*dirs);
  const auto lock = take_lock(dirs->run + "/hasupd.lock", std::move(from.lock), holder);
  if (!lock)
    return fail(exit_code::failed,
                "another hasupd works on these directories already (" + holder + "): " + dirs->run);

  // A reader of this log that goes away, or a follower that hangs up, must not end the daemon.
  std::signal(SIGPIPE, SIG_IGN);
  ::umask(022);
  try {
    return serve_and_hand_over(*dirs, std::move(from), lock);
  } catch (const std::exception& e) {
    return fail(exit_code::failed, std::string("unexpected: ") + e.what());
  }
}
