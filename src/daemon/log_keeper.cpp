#include "daemon/log_keeper.hpp"

#include <spdlog/spdlog.h>
#include <sys/inotify.h>
#include <unistd.h>

#include <array>
#include <boost/asio/buffer.hpp>
#include <boost/asio/io_context.hpp>
#include <cstring>
#include <string_view>

namespace hasup::daemon {
namespace {

constexpr std::chrono::minutes now_and_then{10};
constexpr std::chrono::seconds after_rotation{1};  // several units often rotate together
constexpr std::chrono::hours longest_run{6};
constexpr int exit_busy = 75;  // the keeper of a hasupd before this one is at it

// Does one of these inotify events say that a shim has rotated?
bool tells_of_rotation(const char* bytes, std::size_t length) {
  for (std::size_t at = 0; at + sizeof(inotify_event) <= length;) {
    inotify_event e{};
    std::memcpy(&e, bytes + at, sizeof e);
    if ((e.mask & IN_Q_OVERFLOW) != 0) return true;
    const char* const name = bytes + at + sizeof e;
    at += sizeof e + e.len;
    if (e.len > 0 && std::string_view(name, ::strnlen(name, e.len)).ends_with(".log.1")) return true;
  }
  return false;
}

}  // namespace

logs::retention retention_of(const model::log_policy& policy) {
  return {policy.max_files, policy.max_age, policy.max_total, policy.compress};
}

std::vector<std::string> keeping_command(const std::string& program, const std::string& log_directory,
                                         const std::vector<kept_log>& kept) {
  std::vector<std::string> argv{program, "keep", log_directory};
  for (const auto& log : kept) {
    if (!log.rule.needs_keeper()) continue;
    argv.insert(argv.end(), {log.name, std::to_string(log.rule.max_files), std::to_string(log.rule.max_age.count()),
                             std::to_string(log.rule.max_total), log.rule.compress ? "1" : "0"});
  }
  if (argv.size() == 3) return {};
  return argv;
}

log_keeper::log_keeper(boost::asio::io_context& loop, std::string log_directory, std::string program,
                       std::function<std::vector<kept_log>()> kept)
    : loop_(loop),
      directory_(std::move(log_directory)),
      program_(std::move(program)),
      kept_(std::move(kept)),
      timer_(loop),
      renames_(loop) {}

// A worker that runs goes on to its end: what it does is the same without hasupd.
log_keeper::~log_keeper() {
  *alive_ = false;
}

void log_keeper::start() {
  // Before the loop runs: looking up the directory may wait for its disk.
  const int fd = ::inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
  if (fd >= 0 && ::inotify_add_watch(fd, directory_.c_str(), IN_MOVED_TO) >= 0) {
    renames_.assign(fd);
    watch();
  } else {
    spdlog::warn("cannot watch {}: {}; logs are compressed every {} minutes", directory_, std::strerror(errno),
                 now_and_then.count());
    if (fd >= 0) ::close(fd);
  }
  wait(after_rotation);
}

void log_keeper::watch() {
  renames_.async_wait(boost::asio::posix::stream_descriptor::wait_read, [this](const boost::system::error_code& ec) {
    if (ec) return;
    alignas(inotify_event) std::array<char, 16 * 1024> bytes;
    bool rotated = false;
    for (ssize_t n = 0; (n = ::read(renames_.native_handle(), bytes.data(), bytes.size())) > 0;)
      rotated = tells_of_rotation(bytes.data(), static_cast<std::size_t>(n)) || rotated;
    if (rotated && running_)
      again_ = true;
    else if (rotated)
      wait(after_rotation);
    watch();
  });
}

void log_keeper::wait(base::duration time) {
  timer_.expires_after(time);
  timer_.async_wait([this](const boost::system::error_code& ec) {
    if (!ec) run();
  });
}

void log_keeper::run() {
  const auto argv = keeping_command(program_, directory_, kept_());
  if (argv.empty()) return wait(now_and_then);
  process::program_options options;
  options.timeout = longest_run;
  again_ = false;
  running_ = process::async_run(loop_, argv, {{"PATH", "/usr/bin:/bin"}, {"LANG", "C.UTF-8"}}, options,
                                [this, alive = alive_](const process::program_result& r) {
                                  if (*alive) ended(r);
                                });
}

void log_keeper::ended(const process::program_result& r) {
  running_.reset();
  auto text = r.output;
  while (text.ends_with('\n')) text.pop_back();
  if (!r.error.empty())
    spdlog::error("cannot start {}: {}", program_, r.error);
  else if (r.exit.code == exit_busy)
    spdlog::debug("logs are being compressed by an earlier keeper");
  else if (!r.succeeded())
    spdlog::warn("compressing logs: {}", text.empty() ? "ended with " + to_text(r.exit) : text);
  else if (!text.empty())
    spdlog::info("logs: {}", text);
  wait(again_ && r.succeeded() ? base::duration(after_rotation) : base::duration(now_and_then));
}

}  // namespace hasup::daemon
