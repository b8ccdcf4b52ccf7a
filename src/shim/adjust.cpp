// What a run that goes on gets anew: limits, priorities, how its log is rotated.
#include <errno.h>
#include <sys/resource.h>

#include "shim/number_entries.hpp"
#include "shim/shim.hpp"

namespace hasup::shim {

using process::field;
using process::field_reader;
using process::message;
using process::request_error;
using process::shim_phase;
using process::tag;

namespace {

struct adjustment {
  uint64_t run = 0;
  run_limit limits[16];
  size_t limit_count = 0;
  bool has_nice = false;
  uint32_t nice = 0;
  bool has_oom_score = false;
  uint32_t oom_score = 0;
  bool has_log = false;
  log_target log;  // without its path

  [[nodiscard]] bool for_processes() const { return limit_count > 0 || has_nice || has_oom_score; }
};

bool read(const char* payload, size_t length, adjustment& out) {
  field_reader fields(payload, length);
  for (field f; fields.next(f);) {
    bool good = true;
    if (f.id == tag::run) good = f.read(out.run);
    if (f.id == tag::limit)
      good = out.limit_count < sizeof out.limits / sizeof *out.limits && read_limit(f, out.limits[out.limit_count++]);
    if (f.id == tag::nice) good = out.has_nice = f.read(out.nice);
    if (f.id == tag::oom_score_adjust) good = out.has_oom_score = f.read(out.oom_score);
    if (f.id == tag::log_max_size) good = out.has_log = f.read(out.log.max_size);
    if (f.id == tag::log_max_files) good = f.read(out.log.max_files);
    if (f.id == tag::log_daily) good = f.read(out.log.daily);
    if (!good) return false;
  }
  return !fields.malformed() && out.run != 0;
}

// The first errno; 0: all of it. Who ended meanwhile wants nothing more.
class outcome {
 public:
  void note(bool done) {
    if (!done && errno != ESRCH && errno != ENOENT && error_ == 0) error_ = errno;
  }
  [[nodiscard]] int error() const { return error_; }

 private:
  int error_ = 0;
};

void adjust_process(int32_t pid, const adjustment& to, outcome& result) {
  for (size_t i = 0; i < to.limit_count; ++i)
    result.note(prlimit(pid, static_cast<__rlimit_resource>(to.limits[i].resource), &to.limits[i].value, nullptr) ==
                0);
  if (to.has_oom_score) result.note(set_oom_score(pid, static_cast<int>(to.oom_score)));
  if (!to.has_nice) return;
  // The kernel keeps it a thread; a thread begins with that of its maker.
  fixed_text<64> tasks;
  tasks << "/proc/" << static_cast<uint64_t>(pid) << "/task";
  each_number(tasks.c_str(), [&](int32_t thread) {
    result.note(setpriority(PRIO_PROCESS, static_cast<id_t>(thread), static_cast<int>(to.nice)) == 0);
  });
}

}  // namespace

void shim::adjust(int connection, const char* payload, size_t length) {
  adjustment to;
  if (!read(payload, length, to)) return refuse(connection, message::adjust, request_error::bad_request);
  if (to.run != now().run || !tree_alive() || (now().phase == shim_phase::orphaned && !take_over()))
    return refuse(connection, message::adjust, request_error::not_running);
  log_target target;
  if (to.has_log && record_.load_log_target(target)) {
    to.log.path = target.path;
    record_.save_log_target(to.log);
    writer_.set_target(to.log);
  }
  outcome result;
  if (to.for_processes() && now().attached != 0) {
    remember_members();
    if (is_alive(now().pid, now().start_time)) adjust_process(now().pid, to, result);
    for (size_t i = 0; i < member_count_; ++i)
      if (is_alive(members_[i].pid, members_[i].start_time)) adjust_process(members_[i].pid, to, result);
  } else if (to.for_processes()) {
    process_walk walk;
    walk.collect(getpid());
    cgroup_.collect(walk);
    for (const process_walk::entry& e : walk)
      if (process_walk::is_same(e)) adjust_process(e.pid, to, result);
  }
  if (result.error() != 0) return refuse(connection, message::adjust, request_error::failed, result.error());
  answer(connection, message::adjust);
}

}  // namespace hasup::shim
