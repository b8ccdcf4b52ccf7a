// The life of a run: start, end of the main process, end of the tree.
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "shim/node_output.hpp"
#include "shim/proc.hpp"
#include "shim/shim.hpp"

namespace hasup::shim {

using process::exit_kind;
using process::frame_writer;
using process::message;
using process::shim_phase;
using process::tag;

namespace {
constexpr uint64_t check_soon_ms = 50;
}

bool shim::tree_alive() const {
  switch (record_.now.phase) {
    case shim_phase::spawning:
    case shim_phase::running:
    case shim_phase::exited:
    case shim_phase::orphaned:
      return true;
    default:
      return false;
  }
}

void shim::push(message type) {
  reply_frame frame;
  frame_writer<reply_frame> writer(frame, type);
  writer.u64(tag::run, now().run);
  writer.u32(tag::pid, static_cast<uint32_t>(now().pid));
  writer.u64(tag::start_time, now().start_time);
  if (type == message::exec_failed) {
    writer.u32(tag::error_number, static_cast<uint32_t>(now().exec_errno));
    writer.u32(tag::stage, now().exec_stage);
  }
  writer.bytes(tag::record, &now(), sizeof now());
  if (writer.finish()) control_.broadcast(frame);
}

void shim::note_drops() {
  if (now().logs_dropped == queue_.dropped()) return;
  now().logs_dropped = queue_.dropped();
  record_.save();
}

// While a disk is full this would come with each line.
void shim::tell_drops(uint64_t now_ms) {
  tell_drops_ms_ = 0;
  drops_told_ms_ = now_ms;
  note_drops();
  if (now().logs_dropped > 0) push(message::logs_dropped);
}

// What a former shim left: its node may still run, or may have ended unseen; what the main process left behind may
// live on although it is gone, and counts until it is gone too.
void shim::take_up_former_run() {
  char boot[sizeof now().boot_id];
  read_boot_id(boot);
  const bool same_boot = strcmp(boot, now().boot_id) == 0;
  const bool was_running = now().phase == shim_phase::spawning || now().phase == shim_phase::running ||
                           now().phase == shim_phase::orphaned;
  // While it waits before its exec it is in its cgroup already, but the record does not say so yet.
  if (same_boot && (now().in_cgroup != 0 || now().phase == shim_phase::spawning)) cgroup_.open(record_.load_cgroup());
  now().shim_pid = getpid();
  memcpy(now().boot_id, boot, sizeof boot);
  now().attached = 0;
  if (was_running && same_boot && is_alive(now().pid, now().start_time)) {
    now().phase = shim_phase::orphaned;
    attach_outputs();  // not only when it is told to: the pipes are filling
  } else if (was_running || now().phase == shim_phase::exited) {
    if (was_running) {
      if (same_boot) count_oom_kills();
      now().ended = exit_kind::lost;
      now().exit_value = 0;
      now().exited_at_ns = realtime_ns();
    }
    if (same_boot && find_survivors()) {
      now().attached = 1;
      now().phase = shim_phase::exited;
      attach_outputs();
      check_attached_ms_ = monotonic_ms() + check_soon_ms;
    } else {
      now().phase = shim_phase::tree_empty;
      now().tree_empty_at_ns = realtime_ns();
    }
  }
  if (!same_boot) {
    // The clock of the lease began anew with the boot.
    now().lease_valid_until_ms = 0;
    now().lease_action = 0;
    now().lease_expired = 0;
  }
  if (!tree_alive()) cgroup_.open("");
  queue_.add_dropped(now().logs_dropped);
  record_.save();
}

// Its own cgroup counts exactly. Without one, what the kernel did on the whole machine says what may have been.
void shim::count_oom_kills() {
  uint64_t all = 0;
  if (cgroup_.oom_kills(all)) {
    if (all > now().oom_kills_before) now().oom_kills = static_cast<uint32_t>(all - now().oom_kills_before);
    return;
  }
  if (now().machine_oom_kills_before == process::not_known) return;
  if (!read_machine_oom_kills(all))
    now().machine_oom_kills_before = process::not_known;
  else if (all > now().machine_oom_kills_before)
    now().machine_oom_kills = static_cast<uint32_t>(all - now().machine_oom_kills_before);
}

void shim::fresh_cgroup(const char* path) {
  cgroup_.open(path);
  record_.save_cgroup(path);
  uint64_t all = 0;
  if (cgroup_.oom_kills(all)) now().oom_kills_before = all;
  if (read_machine_oom_kills(all)) now().machine_oom_kills_before = all;
}

void shim::start(run_spec& spec) {
  has_run_ = true;
  spec.env[spec.env_count++] = const_cast<char*>(mark_.c_str());
  writer_.set_target(spec.log);
  record_.save_log_target(spec.log);
  evidence_.reset(spec.run);
  queue_.reset_dropped();

  process::shim_record fresh;
  fresh.run = spec.run;
  fresh.shim_pid = getpid();
  memcpy(fresh.boot_id, now().boot_id, sizeof fresh.boot_id);
  fresh.lease_valid_until_ms = now().lease_valid_until_ms;
  fresh.lease_action = now().lease_action;
  fresh.lease_signal = now().lease_signal;
  fresh.phase = shim_phase::spawning;
  now() = fresh;

  child_ = child{};
  for (size_t i = 0; i < spec.data_dir_count; ++i)
    if (!data_lock_.take(spec.data_dirs[i])) return fail_start({process::exec_stage::data_in_use, EBUSY});
  fresh_cgroup(spec.cgroup);
  const start_failure failure = start_child(spec, cgroup_, child_);
  process_stat stat{};
  if (failure.stage != process::exec_stage::none) return fail_start(failure);
  // It waits for us, so it is there even if it was killed meanwhile: nobody but us takes its zombie away.
  read_stat(child_.pid, stat);
  now().pid = child_.pid;
  now().start_time = stat.start_time;
  now().started_at_ns = realtime_ns();
  now().out_pipe = pipe_inode(child_.out.get());
  now().err_pipe = pipe_inode(child_.err.get());
  record_.save();
  reader_.begin(static_cast<base::unique_fd&&>(child_.out), static_cast<base::unique_fd&&>(child_.err));
  release_child(child_);
}

void shim::fail_start(start_failure failure) {
  if (child_.pid > 0) {
    siginfo_t ignored;
    while (waitid(P_PID, static_cast<id_t>(child_.pid), &ignored, WEXITED) != 0 && errno == EINTR) {
    }
  }
  child_ = child{};
  data_lock_.release();
  cgroup_.open("");
  reader_.end();
  now().phase = shim_phase::exec_failed;
  now().exec_stage = static_cast<uint32_t>(failure.stage);
  now().exec_errno = failure.error;
  now().pid = 0;
  now().start_time = 0;
  now().exited_at_ns = now().tree_empty_at_ns = realtime_ns();
  killing_ = false;
  record_.save();
  push(message::exec_failed);
}

void shim::on_exec_result() {
  const start_failure failure = read_start_failure(child_);
  child_.error.reset();
  if (failure.stage != process::exec_stage::none) return fail_start(failure);
  now().phase = shim_phase::running;
  now().in_cgroup = cgroup_ && cgroup_.populated() ? 1 : 0;
  if (now().in_cgroup == 0) cgroup_.open("");
  record_.save();
  push(message::started);
}

void shim::reap() {
  signalfd_siginfo pending;
  while (read(child_signals_.get(), &pending, sizeof pending) > 0) {
  }
  const bool still_populated = cgroup_ && cgroup_.populated();
  for (;;) {
    siginfo_t info;
    info.si_pid = 0;
    // Looked at first: the result of its exec must be read before its death is told.
    if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) != 0) {
      if (errno == EINTR) continue;
      break;  // no child at all
    }
    if (info.si_pid == 0) return;
    const bool is_main = info.si_pid == child_.pid && now().attached == 0;
    if (is_main && now().phase == shim_phase::spawning) {
      on_exec_result();
      if (now().phase != shim_phase::running) continue;
    }
    siginfo_t ignored;
    waitid(P_PID, static_cast<id_t>(info.si_pid), &ignored, WEXITED | WNOHANG);
    if (!is_main) continue;
    const bool exited = info.si_code == CLD_EXITED;
    on_main_exited(exited ? exit_kind::code : exit_kind::signal, info.si_status, info.si_code == CLD_DUMPED);
  }
  if (now().phase == shim_phase::exited && now().attached == 0 && !still_populated) on_tree_empty();
}

void shim::note_age() {
  if (now().start_time == 0) return;
  const auto began_ms = now().start_time * 1000 / static_cast<uint64_t>(sysconf(_SC_CLK_TCK));
  const auto now_ms = boottime_ms();
  now().lived_ms = now_ms > began_ms ? now_ms - began_ms : 0;
}

void shim::on_main_exited(exit_kind kind, int value, bool core) {
  if (now().phase != shim_phase::orphaned) note_age();  // else it ended before anybody looked
  child_ = child{};
  main_watch_.reset();
  reader_.drain();
  now().phase = shim_phase::exited;
  now().ended = kind;
  now().exit_value = value;
  now().core_dumped = core ? 1 : 0;
  count_oom_kills();
  now().exited_at_ns = realtime_ns();
  now().logs_dropped = queue_.dropped();
  record_.save();
  push(message::main_exited);
  if (kind == exit_kind::lost) check_attached();
}

void shim::on_tree_empty() {
  reader_.end();
  killing_ = false;
  check_attached_ms_ = 0;
  member_count_ = 0;
  cgroup_.open("");  // hasupd may take it away now
  data_lock_.release();
  now().phase = shim_phase::tree_empty;
  now().tree_empty_at_ns = realtime_ns();
  now().logs_dropped = queue_.dropped();
  record_.save();
  push(message::tree_empty);
}

}  // namespace hasup::shim
