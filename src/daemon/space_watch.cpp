#include "daemon/space_watch.hpp"

#include <sys/statvfs.h>

#include <algorithm>
#include <utility>

#include "probe/lane.hpp"
#include "unit/space_guard.hpp"

namespace hasup::daemon {

space_watch::space_watch(boost::asio::io_context& loop, wanted w, told t)
    : loop_(loop), timer_(loop), wanted_(std::move(w)), told_(std::move(t)) {}

space_watch::~space_watch() = default;

void space_watch::wake(const std::string& dir) {
  if (armed_ && (free_.contains(dir) || asked_.contains(dir))) return;
  armed_ = true;
  wait(base::duration{0});  // many units that start at once are one look
}

void space_watch::look() {
  const auto dirs = wanted_();
  std::erase_if(free_, [&](const auto& f) { return !dirs.contains(f.first); });
  if (dirs.empty()) {
    armed_ = false;
    return;
  }
  give_up_on_silent();
  auto next = base::duration::max();
  for (const auto& [dir, min_free] : dirs) {
    if (!asked_.contains(dir)) ask(dir);
    const auto last = free_.find(dir);
    next = std::min(next, unit::next_look(last == free_.end() ? 0 : last->second, min_free));
  }
  wait(next);
}

void space_watch::wait(base::duration d) {
  timer_.expires_after(d);
  timer_.async_wait([this](const boost::system::error_code& ec) {
    if (!ec) look();
  });
}

void space_watch::ask(const std::string& dir) {
  if (!lane_) lane_ = std::make_shared<probe::lane>(loop_);
  asked_[dir] = {std::chrono::steady_clock::now(), ++last_number_};
  // The answer may come long after: from a lane that was given up.
  lane_->run([this, dir, alive = std::weak_ptr<bool>(alive_)]() -> probe::lane::answer {
    std::optional<std::uint64_t> free;
    struct statvfs v {};
    if (::statvfs(dir.c_str(), &v) == 0) free = static_cast<std::uint64_t>(v.f_bavail) * v.f_frsize;
    return [this, dir, free, alive] {
      if (alive.lock()) answered(dir, free);
    };
  });
}

// A directory that is not there has no free space to tell of: the start of its unit says so.
void space_watch::answered(const std::string& dir, std::optional<std::uint64_t> free) {
  asked_.erase(dir);
  if (!free) return;
  free_[dir] = *free;
  told_(dir, free);
}

// A lane asks one after the other: it hangs at the oldest question, and the others are asked again on a new one.
void space_watch::give_up_on_silent() {
  const auto now = std::chrono::steady_clock::now();
  std::map<std::uint64_t, std::string> open;
  for (const auto& [dir, question] : asked_)
    if (!question.given_up) open[question.number] = dir;
  if (open.empty() || now - asked_[open.begin()->second].at < patience) return;
  const auto silent = open.begin()->second;
  asked_[silent].given_up = std::exchange(lane_, nullptr);
  for (const auto& [number, dir] : open)
    if (dir != silent) ask(dir);
  told_(silent, std::nullopt);
}

}  // namespace hasup::daemon
