// Puts staged entries in the place of a data directory's own and keeps the way back open: swap, rewipe, roll_back,
// clean_up; wipe gives the way back up. Each can be repeated after a crash at any point; which entry is which is told
// by inode, never by name. The phases and what is allowed in which stand in swap_record.hpp.
//
// Where an entry's old and new file can be found:
//
//   old   new        next step of swap
//   P     S          exchange P and S (a file system that cannot: P to A)
//   S     P          S to A
//   A     S          S to P
//   A     P, none    done
//   P     none       P to A
//   none  S          S to P;  none, P: done
//
// with P the place in the data directory, A in aside/, S in staging/new/. Anything else was not done by hasup: a
// failure, and nothing is touched. All three are on one file system: of an entry that is a file system of its own the
// children are swapped, with aside/ and staging/ in it (volumes.hpp).
#pragma once

#include "ports/worker_job.hpp"
#include "snapshot/data_tree.hpp"
#include "snapshot/job_control.hpp"
#include "snapshot/staged.hpp"
#include "snapshot/swap_record.hpp"

namespace hasup::snapshot {

class state_swap {
 public:
  state_swap(const ports::worker_job& job, job_control& control, const disk& d)
      : job_(job), control_(control), disk_(d) {}

  // Deletes what the plan replaces, for good. Refuses before anything is touched, and before the record is written,
  // unless the chosen archives are whole in the cache, and for the same reasons as swap. Each entry leaves the data
  // directory by one rename before anything of it is deleted.
  outcome<void> wipe();
  // Needs a complete staging directory. Refuses before the first rename when a process has the data open, or an entry
  // is a link, a mount point that data.mount does not name, or somebody else's. What the plan shares stays in place
  // and is cloned aside where that can be (state_swap_shared.cpp).
  outcome<void> swap();
  // Removes what an attempt to start created in the place of entries that nothing from staging replaced.
  outcome<void> rewipe();
  // The old entries return, the very same files, and shared ones as they were where they were cloned. Without a
  // record there is nothing to undo but the staging directory. After wipe what is deleted stays so, and the record
  // stays.
  outcome<void> roll_back();
  // No way back after this: aside, staging, record, and all cached archives but the chosen ones (else the newest).
  outcome<void> clean_up();
  // What was fetched for a recovery to come: all of the cache and of staging. Refused where a swap is not over.
  outcome<void> drop_warm();
  // job.useless leave the cache, but for what warm.json names and none of job.useless_sha256 is.
  outcome<void> discard_archives();

  // Whether the record says that the old state is deleted or being deleted, as far as was seen.
  [[nodiscard]] bool wiped() const { return wiped_; }
  // Whether there is a record, as far as was seen or written.
  [[nodiscard]] bool has_record() const { return has_record_; }
  // After roll_back: in what the state that is back differs from what it was; "" = in nothing.
  [[nodiscard]] const std::string& inexact() const { return inexact_; }
  // Remarks for a person, to be shown with the result.
  [[nodiscard]] const std::vector<std::string>& notes() const { return notes_; }

 private:
  enum class place { none, in_place, aside, staged };
  struct position {
    place old_at = place::none;
    place new_at = place::none;
  };

  enum class work { of_plan, of_record };
  outcome<void> open(work w = work::of_record);
  outcome<void> open_volumes(work w);
  outcome<void> check_volumes(const swap_record& record) const;
  outcome<void> check_carried(const staged& ready, const wipe_rules& rules,
                              const std::vector<std::string>& new_paths) const;
  outcome<std::vector<std::string>> entries_in_place(const wipe_rules& rules) const;
  void note_rules(swap_record& record, const wipe_rules& rules) const;
  outcome<std::optional<swap_record>> read_record();
  outcome<void> write_record(const swap_record& record);
  outcome<void> check_archives() const;
  outcome<void> plan_wipe(swap_record& record) const;
  outcome<void> finish_wipe(const swap_record& record);
  outcome<void> check_deleted(const swap_record& record) const;
  [[nodiscard]] bool is_as_recorded(const swap_record& record, const std::string& path) const;
  outcome<wipe_rules> rules_of(const swap_record& record) const;
  outcome<swap_record> plan_swap();
  outcome<void> check_old(const swap_entry& entry, const entry_info& found) const;
  outcome<bool> aside_is_empty() const;
  outcome<void> check_aside_empty() const;
  outcome<void> remove_everywhere(const std::string& path, const std::function<bool()>& stop = {}) const;
  outcome<void> check_no_writer(const std::string& dir) const;
  outcome<position> locate(const swap_entry& entry) const;
  outcome<void> settle(const swap_entry& entry);
  outcome<bool> settle_step(const swap_entry& entry, const position& at);
  outcome<void> move_everything_in(swap_record& record);
  outcome<void> sync_parents(const swap_record& record) const;
  outcome<void> sync_owns() const;
  outcome<void> check_can_return(const swap_record& record) const;
  outcome<void> undo_swap(swap_record& record);
  outcome<void> clear_places(const swap_record& record);
  outcome<void> return_old(const swap_record& record);
  outcome<void> discard(const std::string& path);
  outcome<void> clone_beside(swap_record& record);
  outcome<void> clone_shared(swap_record& record);
  outcome<std::string> clone_all(const std::vector<std::string>& paths, std::vector<swap_entry>& clones);
  outcome<void> discard_clones(const std::function<bool()>& stop = {}) const;
  outcome<void> check_clones(const swap_record& record) const;
  outcome<void> return_shared(const swap_record& record);
  outcome<void> return_clone(const swap_entry& entry);
  void note_shared(const swap_record& record);
  outcome<bool> has_something(const std::string& path) const;
  outcome<void> note_kept(swap_record& record) const;
  outcome<std::string> lost_of_kept(const swap_record& record) const;
  outcome<void> note_inexact(const swap_record& record);
  outcome<void> write_inexact() const;
  outcome<void> read_inexact();
  outcome<void> forget_inexact() const;
  enum class cancelling { heeded, ignored };
  outcome<void> remove_counted(const std::vector<std::string>& paths, cancelling c);
  outcome<void> prune_cache();
  outcome<std::string> newest_in_cache() const;

  const ports::worker_job& job_;
  job_control& control_;
  disk disk_;
  data_tree tree_;
  std::vector<std::string> mounted_;  // where file systems are mounted
  std::vector<std::string> notes_;
  std::string inexact_;
  bool wiped_ = false;
  bool has_record_ = false;
};

}  // namespace hasup::snapshot
