#include "daemon/upgrade.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <boost/asio/io_context.hpp>
#include <filesystem>

#include "base/trimmed.hpp"
#include "daemon/disk_thread.hpp"
#include "hasup/version.hpp"

namespace hasup::daemon {
namespace {

using std::chrono::steady_clock;

constexpr base::duration check_limit{60'000};
constexpr base::duration disk_limit{10'000};
constexpr base::duration hooks_limit{60'000};
constexpr base::duration answers_limit{5'000};  // what takes longer, such as a preflight, is cut off
constexpr base::duration look_every{20};

// The successor gets this process's environment, so its check gets it too.
std::map<std::string, std::string> own_environment() {
  std::map<std::string, std::string> out;
  for (char** e = environ; e != nullptr && *e != nullptr; ++e) {
    const std::string_view text(*e);
    if (const auto equals = text.find('='); equals != std::string_view::npos)
      out.emplace(text.substr(0, equals), text.substr(equals + 1));
  }
  out.erase("NOTIFY_SOCKET");  // a check is not the daemon
  return out;
}

}  // namespace

upgrade::upgrade(daemon_services& services, std::function<void(control::event)> publish)
    : services_(services), publish_(std::move(publish)), timer_(services.loop) {}

void upgrade::begin(const control::command& c, const control::peer& who,
                    std::function<void(control::command_reply)> done) {
  if (under_way_) return done({exit_code::failed, "an upgrade is under way already; `hasup events -f`", {}, {}});
  const auto given = c.options.find("binary");
  if (given != c.options.end()) {
    // Whoever may use the socket may not thereby have any program run as the daemon's user.
    if (who.uid != 0 && who.uid != ::geteuid())
      return done(
          {exit_code::permission_denied,
           "only root and the user of hasupd may name the program; without --binary it is the one that hasupd "
           "was started from",
           {},
           {}});
    if (!given->second.starts_with('/')) return done({exit_code::usage, "--binary takes an absolute path", {}, {}});
  }
  program_ = given == c.options.end() ? services_.program : given->second;
  done_ = std::move(done);
  under_way_ = true;
  process::program_options o;
  o.timeout = check_limit;
  std::error_code ec;
  o.directory = std::filesystem::current_path(ec).string();
  if (ec) o.directory = "/";
  process::async_run(services_.loop, {program_, "--self-check"}, own_environment(), o,
                     [this](const process::program_result& r) { checked(r); });
}

void upgrade::refuse(exit_code code, const std::string& why) {
  under_way_ = false;
  const auto text = fmt::format("{}; hasupd {} goes on", why, hasup::version);
  control::event e;
  e.kind = "upgrade_refused";
  e.reason = text;
  publish_(std::move(e));
  if (const auto done = std::exchange(done_, {})) done({code, text, {}, {}});
}

void upgrade::checked(const process::program_result& r) {
  found_ = base::trimmed(r.output);
  if (!r.error.empty()) return refuse(exit_code::failed, r.error);
  if (r.timed_out)
    return refuse(exit_code::failed, fmt::format("the self-check of {} took longer than {}", program_,
                                                 base::format_duration(check_limit)));
  if (!r.succeeded())
    return refuse(exit_code::failed, fmt::format("the self-check of {} ended with {}: {}", program_, to_text(r.exit),
                                                 found_.empty() ? "it said nothing" : found_));
  if (found_.find(hand_over_mark) == std::string::npos)
    return refuse(exit_code::failed,
                  fmt::format("{} is no hasupd that could take over from this one; to go to an older one, end hasupd "
                              "and start that (units run on)",
                              program_));
  await_disk();
}

// What is still to be written must be before this process ends: with a disk that hangs it never would.
void upgrade::await_disk() {
  auto disks = services_.other_disks;
  disks.push_back(&services_.disk);
  auto silent = std::make_shared<std::size_t>(disks.size());  // 0: all have answered, or it is over
  timer_.expires_after(disk_limit);
  timer_.async_wait([this, silent](const boost::system::error_code& ec) {
    if (ec || std::exchange(*silent, 0) == 0) return;
    refuse(exit_code::failed, "the disk of " + services_.dirs.state + " does not answer");
  });
  for (auto* disk : disks)
    disk->run([] {},
              [this, silent] {
                if (*silent == 0 || --*silent > 0) return;
                timer_.cancel();
                hooks_until_ = steady_clock::now() + hooks_limit;
                await_hooks();
              });
}

void upgrade::look_again(void (upgrade::*then)()) {
  timer_.expires_after(look_every);
  timer_.async_wait([this, then](const boost::system::error_code& ec) {
    if (!ec) (this->*then)();
  });
}

void upgrade::await_hooks() {
  if (!services_.hooks->empty()) {
    if (steady_clock::now() > hooks_until_)
      return refuse(exit_code::failed,
                    "hooks of units have been running for a minute, and would not be waited for by "
                    "the new program; `hasup status`, then try again");
    return look_again(&upgrade::await_hooks);
  }
  if (const auto done = std::exchange(done_, {})) done({exit_code::done, found_, {}, {}});
  if (server_ != nullptr) server_->pause();
  answers_until_ = steady_clock::now() + answers_limit;
  // The answer above is not on its way yet.
  look_again(&upgrade::await_answers);
}

void upgrade::await_answers() {
  if (server_ != nullptr && server_->unanswered() > 0 && steady_clock::now() < answers_until_)
    return look_again(&upgrade::await_answers);
  if (!services_.hooks->empty()) {  // begun meanwhile
    if (server_ != nullptr) server_->resume();
    return look_again(&upgrade::await_hooks);
  }
  under_way_ = false;
  if (on_go) on_go(program_);
}

}  // namespace hasup::daemon
