// Taking over the node of a dead shim. Its processes are not our children: the main one is watched by a descriptor,
// the others are remembered and looked after every two seconds, and how they ended stays unknown. A process that left
// both its parent and its session while no shim lived is known by the mark in its environment.
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "shim/proc.hpp"
#include "shim/shim.hpp"

namespace hasup::shim {

using process::exit_kind;
using process::shim_phase;

namespace {

constexpr uint64_t check_every_ms = 2000;
constexpr uint64_t check_fast_ms = 50;  // once the main process is gone

// The node has its pipe open for reading too, so it is still there and may hold what was written meanwhile.
base::unique_fd open_output(int32_t pid, int number) {
  fixed_text<48> path;
  path << "/proc/" << static_cast<uint64_t>(pid) << "/fd/" << static_cast<uint64_t>(number);
  struct stat info;
  if (stat(path.c_str(), &info) != 0 || !S_ISFIFO(info.st_mode)) return {};
  return base::unique_fd(open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
}

}  // namespace

bool shim::take_over() {
  const int32_t pid = now().pid;
  main_watch_.reset(static_cast<int>(syscall(SYS_pidfd_open, pid, 0)));
  now().attached = 1;
  if (!main_watch_ || !is_alive(pid, now().start_time)) {
    on_main_exited(exit_kind::lost, 0, false);
    return false;
  }
  log_target target;
  if (record_.load_log_target(target)) writer_.set_target(target);
  base::unique_fd out = open_output(pid, STDOUT_FILENO);
  base::unique_fd err = open_output(pid, STDERR_FILENO);
  // Opened by number: what belongs to a later process of that number is not read.
  if (!is_alive(pid, now().start_time)) {
    out.reset();
    err.reset();
  }
  // The same pipe twice would be read by turns and its lines torn.
  struct stat a;
  struct stat b;
  if (out && err && fstat(out.get(), &a) == 0 && fstat(err.get(), &b) == 0 && a.st_ino == b.st_ino &&
      a.st_dev == b.st_dev)
    err.reset();
  reader_.begin(static_cast<base::unique_fd&&>(out), static_cast<base::unique_fd&&>(err));
  remember_members();
  now().phase = shim_phase::running;
  record_.save();
  check_attached_ms_ = monotonic_ms() + check_every_ms;
  return true;
}

void shim::remember(const process_walk& found) {
  for (const process_walk::entry& e : found) {
    process_stat stat;
    if (e.pid == getpid() || member_count_ == max_members || !read_stat(e.pid, stat)) continue;
    bool known = e.pid == now().pid && stat.start_time == now().start_time;
    for (size_t i = 0; i < member_count_; ++i)
      known = known || (members_[i].pid == e.pid && members_[i].start_time == stat.start_time);
    if (!known && is_alive(e.pid, stat.start_time)) members_[member_count_++] = {e.pid, stat.start_time};
  }
}

void shim::remember_members() {
  process_walk walk;
  walk.collect_below(now().pid, now().start_time);
  // Those that lost their parent are found no more from the main process, but from themselves.
  for (size_t i = 0; i < member_count_; ++i) walk.collect_below(members_[i].pid, members_[i].start_time);
  // The main process led a session. Its number is not given away while that session has a member; if somebody else
  // bears it now, then there is none left.
  process_stat leader;
  if (!read_stat(now().pid, leader) || leader.start_time == now().start_time)
    walk.collect_session(now().pid, now().start_time);
  cgroup_.collect(walk);
  remember(walk);
}

// Reads the environment of every process of the machine: only where it decides.
void shim::remember_escaped() {
  process_walk walk;
  walk.collect_marked(mark_.c_str());
  remember(walk);
}

bool shim::find_survivors() {
  member_count_ = 0;
  if (now().pid > 0) remember_members();
  remember_escaped();
  return member_count_ > 0 || (cgroup_ && cgroup_.populated());
}

void shim::check_attached() {
  if (now().attached == 0 || (now().phase != shim_phase::running && now().phase != shim_phase::exited)) return;
  size_t left = 0;
  for (size_t i = 0; i < member_count_; ++i)
    if (is_alive(members_[i].pid, members_[i].start_time)) members_[left++] = members_[i];
  member_count_ = left;
  remember_members();
  const bool exited = now().phase == shim_phase::exited;
  if (exited && member_count_ == 0) remember_escaped();
  if (exited && member_count_ == 0 && !(cgroup_ && cgroup_.populated())) return on_tree_empty();
  check_attached_ms_ = monotonic_ms() + (exited ? check_fast_ms : check_every_ms);
}

}  // namespace hasup::shim
