// The shim itself: one run after the other, one tree at a time, everything in one poll loop.
//
//   idle | tree_empty | exec_failed --run--> spawning --exec--> running --main ends--> exited --no child left-->
//   tree_empty
//                                               `--error--> exec_failed
//   a shim that starts and finds the node of a dead one alive: orphaned --attach--> running (attached)
//
// Order at each step: first the record, then the word to the daemon.
#pragma once

#include "shim/child.hpp"
#include "shim/claim.hpp"
#include "shim/control.hpp"
#include "shim/evidence_ring.hpp"
#include "shim/log_writer.hpp"
#include "shim/node_cgroup.hpp"
#include "shim/output_reader.hpp"
#include "shim/proc.hpp"
#include "shim/process_walk.hpp"
#include "shim/record_page.hpp"

namespace hasup::shim {

class shim final : public command_handler {
 public:
  shim();

  // False with errno and what could not be opened.
  bool open(const places& p, const char* name, base::unique_fd claim, base::unique_fd connection,
            const char*& failed);
  [[noreturn]] void work();

 private:
  void on_connected(int connection) override;
  void on_command(int connection, process::message type, const char* payload, size_t length) override;

  // commands.cpp
  void run(int connection, const char* payload, size_t length);
  void signal(int connection, const char* payload, size_t length);
  void lease(int connection, const char* payload, size_t length);
  void attach(int connection, const char* payload, size_t length);
  void adjust(int connection, const char* payload, size_t length);  // adjust.cpp
  void exit(int connection);
  void answer(int connection, process::message command);
  void refuse(int connection, process::message command, process::request_error why, int error = 0);
  void send_record(int connection, process::message type, process::message command);

  // life.cpp: what happens to the run
  void take_up_former_run();
  void start(run_spec& spec);
  void on_exec_result();
  void fail_start(start_failure failure);
  void reap();
  void on_main_exited(process::exit_kind kind, int value, bool core);
  void on_tree_empty();
  void fresh_cgroup(const char* path);
  void count_oom_kills();
  void note_age();
  void note_drops();
  void tell_drops(uint64_t now_ms);
  void push(process::message type);
  [[nodiscard]] bool tree_alive() const;

  // Taken over from a dead shim: not our children, so they are watched and not waited for.
  bool take_over();
  void take_up_outsider(uint64_t run, int32_t pid, uint64_t start_time);
  void find_out_pipes();
  void attach_outputs();
  void attach_outputs(int32_t pid);
  void remember_members();
  bool remember_escaped();
  void remember(const process_walk& found);
  bool find_survivors();
  void check_attached();

  void note_kill(int number);
  bool signal_main(int number);
  bool signal_tree(int number);
  void signal_tree_once(int number);
  void kill_on();
  void arm_lease();
  void on_lease_timer();

  [[nodiscard]] uint64_t next_deadline() const;
  void on_deadlines(uint64_t now);

  process::shim_record& now() { return record_.now; }

  base::unique_fd claim_;
  // In the environment of everything that runs below this claim: by it a later shim finds even those that left both
  // their parent and their session.
  fixed_text<320> mark_;
  record_page record_;
  evidence_ring evidence_;
  line_queue queue_;
  log_writer writer_;
  output_reader reader_;
  control control_;
  child child_;
  data_lock data_lock_;
  node_cgroup cgroup_;
  base::unique_fd child_signals_;
  base::unique_fd lease_timer_;
  base::unique_fd main_watch_;  // attached: becomes readable when the main process ends

  bool has_run_ = false;  // or has taken something over: it has lines and an end to keep
  bool killing_ = false;  // SIGKILL to the tree goes on until it is empty
  uint64_t kill_again_ms_ = 0;
  uint64_t kill_pause_ms_ = 0;
  uint64_t check_attached_ms_ = 0;
  uint64_t drops_told_ms_ = 0;
  uint64_t tell_drops_ms_ = 0;

  struct member {
    int32_t pid;
    uint64_t start_time;
  };
  static constexpr size_t max_members = 256;
  member members_[max_members];
  size_t member_count_ = 0;
};

}  // namespace hasup::shim
