// Signals to the main process or the whole tree, the killing that goes on until nobody is left, and the dead-man
// timer.
#include <errno.h>
#include <signal.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "shim/proc.hpp"
#include "shim/shim.hpp"

namespace hasup::shim {

using process::lease_action;
using process::shim_phase;

namespace {

constexpr uint64_t first_kill_pause_ms = 10;
constexpr uint64_t longest_kill_pause_ms = 1000;
constexpr int rounds = 5;

}  // namespace

// Before it is sent: its end may be there at once, and is then no work of the kernel's.
void shim::note_kill(int number) {
  const bool runs = now().phase == shim_phase::running || now().phase == shim_phase::spawning;
  if (number != SIGKILL || !runs || now().kill_sent != 0) return;
  now().kill_sent = 1;
  record_.save();
}

bool shim::signal_main(int number) {
  errno = ESRCH;
  if (now().phase != shim_phase::running && now().phase != shim_phase::spawning) return false;
  note_kill(number);
  return signal_process(now().pid, now().start_time, number);
}

void shim::signal_tree_once(int number) {
  // What the cgroup does not hold, having been moved out of it, is found below; so it is in any case.
  if (number == SIGKILL && cgroup_) static_cast<void>(cgroup_.kill_all());
  if (now().attached != 0) {
    remember_members();
    remember_escaped();
    if (now().phase == shim_phase::running) signal_process(now().pid, now().start_time, number);
    for (size_t i = 0; i < member_count_; ++i) signal_process(members_[i].pid, members_[i].start_time, number);
    return;
  }
  // Who forks while we walk is found in the next round; what lost its parent is our own child by then.
  process_walk walk;
  for (int round = 0; round < rounds; ++round) {
    walk.collect(getpid());
    cgroup_.collect(walk);
    if (walk.signal_new(number) == 0) return;
  }
}

bool shim::signal_tree(int number) {
  note_kill(number);
  signal_tree_once(number);
  if (number == SIGKILL) {
    killing_ = true;
    kill_pause_ms_ = first_kill_pause_ms;
    kill_again_ms_ = monotonic_ms() + kill_pause_ms_;
  }
  return true;
}

void shim::kill_on() {
  signal_tree_once(SIGKILL);
  if (kill_pause_ms_ < longest_kill_pause_ms) kill_pause_ms_ *= 2;
  kill_again_ms_ = monotonic_ms() + kill_pause_ms_;
  if (now().attached != 0) check_attached();
}

void shim::arm_lease() {
  itimerspec when{};
  const uint64_t until = now().lease_valid_until_ms;
  if (until != 0 && now().lease_action != 0 && now().lease_expired == 0) {
    when.it_value.tv_sec = static_cast<time_t>(until / 1000);
    when.it_value.tv_nsec = static_cast<long>(until % 1000) * 1'000'000 + 1;  // an all-zero value would disarm
  }
  timerfd_settime(lease_timer_.get(), TFD_TIMER_ABSTIME, &when, nullptr);
}

void shim::on_lease_timer() {
  uint64_t count = 0;
  if (read(lease_timer_.get(), &count, sizeof count) < 0) return;
  if (now().lease_action == 0 || boottime_ms() < now().lease_valid_until_ms) return;
  now().lease_expired = 1;
  record_.save();
  if (tree_alive()) {
    const bool usable = now().phase != shim_phase::orphaned || take_over();
    if (usable && now().lease_action == static_cast<uint32_t>(lease_action::kill)) signal_tree(SIGKILL);
    if (usable && now().lease_action == static_cast<uint32_t>(lease_action::signal))
      signal_main(static_cast<int>(now().lease_signal));
  }
  push(process::message::lease_expired);
}

}  // namespace hasup::shim
