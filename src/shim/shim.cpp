// Opens what a shim needs and runs its loop.
#include "shim/shim.hpp"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/timerfd.h>

namespace hasup::shim {

namespace {
constexpr uint64_t drops_told_apart_ms = 1000;
}  // namespace

shim::shim() : writer_(queue_), reader_(evidence_, queue_), control_(*this) {}

bool shim::open(const places& p, const char* name, base::unique_fd claim, base::unique_fd connection,
                const char*& failed) {
  claim_ = static_cast<base::unique_fd&&>(claim);
  struct statx info {};
  failed = "the claim";
  if (statx(claim_.get(), "", AT_EMPTY_PATH, STATX_INO | STATX_BTIME, &info) != 0) return false;
  // The file tells equal names of two homes apart, its birth one that was made anew from its predecessor.
  mark_ << "HASUP_TREE=" << name << ":" << info.stx_dev_major << ":" << info.stx_dev_minor << ":" << info.stx_ino
        << ":" << static_cast<uint64_t>(info.stx_btime.tv_sec) << "." << info.stx_btime.tv_nsec;
  failed = "the record";
  if (!record_.open(p, name)) return false;
  evidence_.open(p, name);

  // Before the writer thread starts, so that it inherits the mask and all SIGCHLD come by the descriptor.
  sigset_t child;
  sigemptyset(&child);
  sigaddset(&child, SIGCHLD);
  sigprocmask(SIG_BLOCK, &child, nullptr);
  failed = "a descriptor";
  child_signals_.reset(signalfd(-1, &child, SFD_CLOEXEC | SFD_NONBLOCK));
  lease_timer_.reset(timerfd_create(CLOCK_BOOTTIME, TFD_CLOEXEC | TFD_NONBLOCK));
  if (!child_signals_ || !lease_timer_ || queue_.room_event() < 0 || queue_.dropped_event() < 0) return false;
  failed = "the log writer";
  if (!writer_.start()) return false;
  take_up_former_run();
  arm_lease();
  failed = "the control socket";
  if (!control_.listen(p, name)) return false;
  if (connection) control_.adopt(static_cast<base::unique_fd&&>(connection));
  return true;
}

uint64_t shim::next_deadline() const {
  uint64_t next = UINT64_MAX;
  const uint64_t candidates[] = {reader_.deadline(), killing_ ? kill_again_ms_ : 0, check_attached_ms_,
                                 tell_drops_ms_};
  for (const uint64_t c : candidates)
    if (c != 0 && c < next) next = c;
  return next;
}

void shim::on_deadlines(uint64_t now_ms) {
  reader_.on_deadline(now_ms);
  if (killing_ && now_ms >= kill_again_ms_) kill_on();
  if (check_attached_ms_ != 0 && now_ms >= check_attached_ms_) check_attached();
  if (tell_drops_ms_ != 0 && now_ms >= tell_drops_ms_) tell_drops(now_ms);
}

void shim::work() {
  enum slot { signals, exec_result, out, err, room, dropped, lease_timer, main_watch, cgroup, control_begin };
  pollfd slots[control_begin + control::poll_slots];
  for (;;) {
    slots[signals] = {child_signals_.get(), POLLIN, 0};
    slots[exec_result] = {child_.error.get(), POLLIN, 0};
    slots[out] = {reader_.poll_fd(output::stdout_), POLLIN, 0};
    slots[err] = {reader_.poll_fd(output::stderr_), POLLIN, 0};
    slots[room] = {queue_.room_event(), POLLIN, 0};
    slots[dropped] = {queue_.dropped_event(), POLLIN, 0};
    slots[lease_timer] = {lease_timer_.get(), POLLIN, 0};
    slots[main_watch] = {main_watch_.get(), POLLIN, 0};
    slots[cgroup] = {cgroup_.events(), POLLPRI, 0};
    control_.prepare(slots + control_begin);
    const uint64_t deadline = next_deadline();
    const uint64_t before = deadline == UINT64_MAX ? 0 : monotonic_ms();
    int timeout = -1;
    if (deadline != UINT64_MAX) timeout = deadline > before ? static_cast<int>(deadline - before) : 0;
    if (poll(slots, sizeof slots / sizeof slots[0], timeout) < 0) continue;

    if (slots[room].revents != 0) reader_.on_room();
    if (slots[dropped].revents != 0) {
      queue_.clear_dropped_event();
      if (tell_drops_ms_ == 0) tell_drops_ms_ = drops_told_ms_ + drops_told_apart_ms;
    }
    if (slots[out].revents != 0) reader_.read_some(output::stdout_);
    if (slots[err].revents != 0) reader_.read_some(output::stderr_);
    // The result of the exec before the death of the child, both before the commands.
    if (slots[exec_result].revents != 0 && child_.error) on_exec_result();
    // Whether it is empty is asked together with whether there are children; the question also ends this event.
    if (slots[signals].revents != 0 || slots[cgroup].revents != 0) reap();
    if (slots[main_watch].revents != 0 && main_watch_) on_main_exited(process::exit_kind::lost, 0, false);
    if (slots[lease_timer].revents != 0) on_lease_timer();
    control_.handle(slots + control_begin);
    if (deadline != UINT64_MAX || tell_drops_ms_ != 0) on_deadlines(monotonic_ms());
    note_drops();
    // Its hasupd died before it gave it anything to do: nothing would ever end it.
    if (!has_run_ && !tree_alive() && control_.abandoned()) {
      control_.unlink();
      claim_.reset();
      _exit(0);
    }
  }
}

}  // namespace hasup::shim
