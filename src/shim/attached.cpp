// Taking over the node of a dead shim, or one that was never under a shim. Its processes are not our children: the
// main one is watched by a descriptor, the others are remembered and looked after every two seconds, and how they
// ended stays unknown. A process that left both its parent and its session while no shim lived is known by the mark
// in its environment.
#include <sys/syscall.h>
#include <unistd.h>

#include "shim/node_output.hpp"
#include "shim/proc.hpp"
#include "shim/shim.hpp"

namespace hasup::shim {

using process::exit_kind;
using process::shim_phase;

namespace {

constexpr uint64_t check_every_ms = 2000;
constexpr uint64_t check_fast_ms = 50;  // once the main process is gone

}  // namespace

void shim::take_up_outsider(uint64_t run, int32_t pid, uint64_t start_time) {
  evidence_.reset(run);
  reader_.end();
  queue_.reset_dropped();
  cgroup_.open("");
  process::shim_record fresh;
  fresh.run = run;
  fresh.shim_pid = getpid();
  fresh.pid = pid;
  fresh.start_time = start_time;
  read_boot_id(fresh.boot_id);
  const auto age_ms = boottime_ms() - start_time * 1000 / static_cast<uint64_t>(sysconf(_SC_CLK_TCK));
  fresh.started_at_ns = realtime_ns() - static_cast<int64_t>(age_ms) * 1'000'000;
  fresh.lease_valid_until_ms = now().lease_valid_until_ms;
  fresh.lease_action = now().lease_action;
  fresh.lease_signal = now().lease_signal;
  fresh.from_outside = 1;
  now() = fresh;
}

// Which pipes are to be read is on record since the start of the run; not so for a run that an older shim started, or
// that comes from outside: what such a process has as its outputs is ours only if nobody else reads it.
void shim::find_out_pipes() {
  if (now().out_pipe != 0 || now().err_pipe != 0) return;
  const int32_t pid = now().pid;
  uint64_t out = pipe_inode_of(pid, STDOUT_FILENO);
  uint64_t err = pipe_inode_of(pid, STDERR_FILENO);
  if (err == out) err = 0;  // the same pipe twice would be read by turns and its lines torn
  if (now().from_outside != 0) {
    if (out != 0 && is_read_by_others(pid, out)) out = 0;
    if (err != 0 && is_read_by_others(pid, err)) err = 0;
  }
  if (!is_alive(pid, now().start_time)) return;  // a later process of that number was looked at
  now().out_pipe = out;
  now().err_pipe = err;
}

// The processes have the pipes open for reading too, so they are still there and hold what was written meanwhile. The
// main process may have other outputs by now, while one of its children still writes into the first ones.
void shim::attach_outputs(int32_t pid) {
  if (now().out_pipe != 0 && !reader_.has(output::stdout_))
    reader_.attach(output::stdout_, open_pipe_of(pid, now().out_pipe));
  if (now().err_pipe != 0 && !reader_.has(output::stderr_))
    reader_.attach(output::stderr_, open_pipe_of(pid, now().err_pipe));
}

void shim::attach_outputs() {
  has_run_ = true;
  log_target target;
  if (record_.load_log_target(target)) writer_.set_target(target);
  if (is_alive(now().pid, now().start_time)) {
    find_out_pipes();
    attach_outputs(now().pid);
  }
  for (size_t i = 0; i < member_count_; ++i) attach_outputs(members_[i].pid);
}

bool shim::take_over() {
  const int32_t pid = now().pid;
  main_watch_.reset(static_cast<int>(syscall(SYS_pidfd_open, pid, 0)));
  now().attached = 1;
  if (!main_watch_ || !is_alive(pid, now().start_time)) {
    on_main_exited(exit_kind::lost, 0, false);
    return false;
  }
  remember_members();
  attach_outputs();
  now().phase = shim_phase::running;
  if (cgroup_ && cgroup_.populated()) now().in_cgroup = 1;
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
    if (known || !is_alive(e.pid, stat.start_time)) continue;
    members_[member_count_++] = {e.pid, stat.start_time};
    attach_outputs(e.pid);
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

// Reads the environment of every process of the machine: only where it decides. Who is just in its exec has none to
// read, so that there is nobody is said after a second look only. False: that cannot be said.
bool shim::remember_escaped() {
  const size_t before = member_count_;
  for (int look = 0; look < 2 && member_count_ == before; ++look) {
    process_walk walk;
    walk.collect_marked(mark_.c_str());
    remember(walk);
    if (walk.blind()) return false;
  }
  return true;
}

bool shim::find_survivors() {
  member_count_ = 0;
  if (now().pid > 0) remember_members();
  return !remember_escaped() || member_count_ > 0 || (cgroup_ && cgroup_.populated());
}

void shim::check_attached() {
  if (now().attached == 0 || (now().phase != shim_phase::running && now().phase != shim_phase::exited)) return;
  size_t left = 0;
  for (size_t i = 0; i < member_count_; ++i)
    if (is_alive(members_[i].pid, members_[i].start_time)) members_[left++] = members_[i];
  member_count_ = left;
  remember_members();
  const bool exited = now().phase == shim_phase::exited;
  const bool known = !exited || member_count_ > 0 || remember_escaped();
  if (exited && known && member_count_ == 0 && !(cgroup_ && cgroup_.populated())) return on_tree_empty();
  check_attached_ms_ = monotonic_ms() + (exited ? check_fast_ms : check_every_ms);
}

}  // namespace hasup::shim
