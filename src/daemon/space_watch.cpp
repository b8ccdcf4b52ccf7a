#include "daemon/space_watch.hpp"

#include <algorithm>
#include <utility>

#include "daemon/disk_room.hpp"
#include "probe/lane.hpp"
#include "unit/space_guard.hpp"

namespace hasup::daemon {
namespace {

constexpr unsigned looks_that_tell = 2;  // one may come while the directory is made, or exchanged

}  // namespace

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
  std::erase_if(failed_, [&](const auto& f) { return !dirs.contains(f.first); });
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
    return [this, dir, room = room_under(dir), alive] {
      if (alive.lock()) answered(dir, room);
    };
  });
}

void space_watch::answered(const std::string& dir, const base::result<unit::room_left>& room) {
  asked_.erase(dir);
  if (!room) {
    free_.erase(dir);
    if (++failed_[dir] == looks_that_tell) told_(dir, room);
    return;
  }
  failed_.erase(dir);
  free_[dir] = room->free;
  told_(dir, room);
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
  told_(silent, base::error{"the file system of " + silent + " does not answer"});
}

}  // namespace hasup::daemon
