// Finds and signals the processes of a tree by way of /proc: also those that left their session and their parent.
#pragma once

#include <stddef.h>
#include <stdint.h>

namespace hasup::shim {

// One walk. Memory is only touched for as many processes as there are.
class process_walk {
 public:
  process_walk();
  ~process_walk();
  process_walk(const process_walk&) = delete;
  process_walk& operator=(const process_walk&) = delete;

  // Adds the processes below root; root itself does not count. What is known already is not added twice.
  void collect(int32_t root);
  // The same for one process that must still be the one that began then; only what is new is walked.
  void collect_below(int32_t root, uint64_t start_time);
  // Adds the members of a session that began since then, whoever their parent is.
  void collect_session(int32_t session, uint64_t since);
  // Adds every process whose first environment held this KEY=VALUE.
  void collect_marked(const char* mark);
  void add_process(int32_t pid);
  // Something could not be looked at: what was not found may be there.
  [[nodiscard]] bool blind() const { return blind_; }
  // Signals each process that was found and is still where it was found, none twice. Returns how many.
  size_t signal_new(int number);

  struct entry {
    int32_t pid;
    int32_t parent;
    uint64_t start_time;  // 0: found as a child of its parent
  };
  // Is it still the one that was found, the child of whom it was, or an orphan of ours?
  static bool is_same(const entry& e);
  [[nodiscard]] const entry* begin() const { return found_; }
  [[nodiscard]] const entry* end() const { return found_ + count_; }

 private:
  void add(int32_t pid, int32_t parent, uint64_t start_time = 0);
  void forget_last();
  void add_children(int32_t pid);
  void scan_all(int32_t root);
  [[nodiscard]] bool know(int32_t pid);

  entry* found_;
  unsigned char* known_;  // a bit a pid
  size_t count_ = 0;
  size_t signalled_ = 0;
  bool blind_ = false;
};

// One process, by a descriptor: certain that it is the one with this start time. False: there is none.
//
// A signal that asks a process to do something reaches a stopped one only with SIGCONT; the others get none: SIGCONT
// takes back a SIGSTOP that is under way, and who waits for that stop (a debugger, or the leak check of a sanitizer,
// which stops its own process while it exits) would wait for ever.
bool signal_process(int32_t pid, uint64_t start_time, int number);

}  // namespace hasup::shim
