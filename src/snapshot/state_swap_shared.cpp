// Shared entries: the node goes on with them where they stand, and a roll back brings back what they were, from
// clones.
//
// An entry stays the very file that it is, and its clone waits in clones/, until a roll back exchanges the two:
//
//   in its place        in clones/      next step of roll_back
//   the node's          the clone       exchange (a file system that cannot: the node's away, then the next line)
//   nothing             the clone       the clone to its place
//   the clone           the node's      done; what is in clones/ is deleted with the rest
//
// A directory's own time of change is not what it was then: moving it is a change. All below it is.
//
// Until the record names a clone, what is in clones/ is of a swap that never began and may go. From then on each is
// known by its inode.
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <set>

#include "base/joined.hpp"
#include "snapshot/shared_entries.hpp"
#include "snapshot/state_swap.hpp"
#include "snapshot/tree_clone.hpp"

namespace hasup::snapshot {
namespace {

std::string clone_path(const std::string& path) {
  return "clones/" + path;
}

outcome<void> sync_if_there(const disk& d, int root, const std::string& dir) {
  auto found = look(root, dir);
  if (!found) return found.error();
  if (!*found || !(*found)->is_directory()) return {};
  return d.sync_dir(root, dir);
}

}  // namespace

// All of them or none: with one that is older than the others the node would start on a state that never was. Without
// them the swap goes on, but not where there is only no room for them: the node could not write there either.
outcome<void> state_swap::clone_shared(swap_record& record) {
  if (auto removed = discard_clones(); !removed) return removed;
  if (record.shared.empty()) return {};
  auto rules = return_rules(record.shared, record.keep);
  if (!rules) return rules.error();
  const auto found = look_at_shared(tree_.root(), *rules);
  record.not_cloned = found.why_not;
  if (found.why_not.empty()) {
    auto why = clone_all(found.paths, record.clones);
    if (!why) {
      if (auto removed = discard_clones(); !removed) return removed;
      return why.error();
    }
    record.not_cloned = *why;
  }
  if (record.not_cloned.empty()) {
    record.shared_as = shared_fate::cloned;
    return {};
  }
  record.clones.clear();
  return discard_clones();
}

// Cloning many files takes its time, so who may have come meanwhile is asked about again.
outcome<void> state_swap::clone_beside(swap_record& record) {
  if (auto cloned = clone_shared(record); !cloned) return cloned;
  if (record.clones.empty()) return {};
  auto free = control_.cancelled() ? outcome<void>(cancelled()) : check_no_writer("");
  if (free) return {};
  if (auto removed = discard_clones(); !removed) return removed;
  return free;
}

outcome<std::string> state_swap::clone_all(const std::vector<std::string>& paths, std::vector<swap_entry>& clones) {
  if (paths.empty()) return std::string{};
  control_.begin("swap", {}, {}, std::nullopt);
  tree_clone clone(tree_.root(), tree_.own(), disk_, control_);
  for (const auto& path : paths) {
    auto old_entry = look(tree_.root(), path);
    if (!old_entry) return old_entry.error();
    if (!*old_entry) return path + " has gone meanwhile";
    if (auto made = disk_.make_parents(tree_.own(), clone_path(path), 0700); !made) {
      if (made.error().kind != ports::worker_failure::no_space) return made.error().message;
      return no_room_to_clone(path, made.error().message, tree_.own());
    }
    auto why = clone.make(path, clone_path(path));
    if (!why || !why->empty()) return why;
    auto new_entry = look(tree_.own(), clone_path(path));
    if (!new_entry) return new_entry.error();
    if (!*new_entry) return path + " has gone meanwhile";
    clones.push_back({path, (*old_entry)->id, (*new_entry)->id});
  }
  if (::syncfs(tree_.own()) != 0) {
    auto failed = system_failure("sync " + tree_.path(), errno);
    if (failed.kind != ports::worker_failure::no_space) return failed.message;
    return no_room_to_clone(base::joined(paths), failed.message, tree_.own());
  }
  disk_.tell("syncfs");
  return std::string{};
}

outcome<void> state_swap::discard_clones(const std::function<bool()>& stop) const {
  return disk_.remove_tree(tree_.own(), "clones", stop);
}

void state_swap::note_shared(const swap_record& record) {
  if (record.wiped || record.shared.empty() || record.shared_as != shared_fate::stays) return;
  notes_.push_back("a roll back will keep what the node writes to " + base::joined(record.shared) + ": " +
                   (record.not_cloned.empty() ? "it was not cloned aside" : record.not_cloned));
}

// All or nothing, as with the old entries.
outcome<void> state_swap::check_clones(const swap_record& record) const {
  for (const auto& entry : record.clones) {
    auto here = look(tree_.root(), entry.path);
    if (!here) return here.error();
    if (*here && (*here)->id == *entry.new_entry) continue;
    auto clone = look(tree_.own(), clone_path(entry.path));
    if (!clone) return clone.error();
    if (*clone && (*clone)->id == *entry.new_entry) continue;
    return failure{ports::worker_failure::internal, "the clone of " + entry.path +
                                                        " is neither in .hasup/clones nor in its place; nothing was "
                                                        "moved: a person must look"};
  }
  return {};
}

outcome<void> state_swap::return_clone(const swap_entry& entry) {
  // At most: out of the way, into its place, and the look that says so.
  for (int step = 0; step < 3; ++step) {
    auto here = look(tree_.root(), entry.path);
    if (!here) return here.error();
    if (*here && (*here)->id == *entry.new_entry) return {};
    auto clone = look(tree_.own(), clone_path(entry.path));
    if (!clone) return clone.error();
    if (!*clone || (*clone)->id != *entry.new_entry) break;
    if (!*here) {
      if (auto made = disk_.make_parents(tree_.root(), entry.path, 0755); !made) return made;
      if (auto moved = disk_.rename(tree_.own(), clone_path(entry.path), tree_.root(), entry.path); !moved)
        return moved;
      continue;
    }
    auto exchanged = disk_.exchange(tree_.root(), entry.path, tree_.own(), clone_path(entry.path));
    if (!exchanged) return exchanged.error();
    if (*exchanged) continue;
    if (auto gone = discard(entry.path); !gone) return gone;
  }
  return failure{ports::worker_failure::internal,
                 "the clone of " + entry.path + " cannot be put in its place; a person must look at .hasup/clones"};
}

outcome<void> state_swap::return_shared(const swap_record& record) {
  if (record.shared_as != shared_fate::cloned) return {};
  std::set<std::string> parents{""};
  for (const auto& entry : record.clones) {
    if (auto back = return_clone(entry); !back) return back;
    parents.insert(std::string(parent_of(entry.path)));
  }
  // What was not there before the swap was made by the node.
  auto rules = return_rules(record.shared, record.keep);
  if (!rules) return rules.error();
  auto present = replaced_entries(tree_.root(), "", *rules);
  if (!present) return present.error();
  for (const auto& path : *present) {
    if (std::any_of(record.clones.begin(), record.clones.end(), [&](const auto& e) { return e.path == path; }))
      continue;
    auto found = look(tree_.root(), path);
    if (!found) return found.error();
    auto top = look(tree_.root(), "");
    if (!top) return top.error();
    if (!*found || !*top) continue;
    if ((*found)->mount_root || (*found)->device != (*top)->device) {
      inexact_ = path + " is mounted since and stays";
      continue;
    }
    if (auto gone = discard(path); !gone) return gone;
    parents.insert(std::string(parent_of(path)));
  }
  for (const auto& parent : parents) {
    if (auto synced = sync_if_there(disk_, tree_.root(), parent); !synced) return synced;
    if (auto synced = sync_if_there(disk_, tree_.own(), joined("clones", parent)); !synced) return synced;
  }
  return {};
}

outcome<void> state_swap::note_inexact(const swap_record& record) {
  auto lost = lost_of_kept(record);
  if (!lost) return lost.error();
  const bool written = !record.wiped && !record.shared.empty() && record.shared_as == shared_fate::stays;
  if (written) {
    inexact_ = "what the node wrote to " + base::joined(record.shared) + " meanwhile stays";
    if (!record.not_cloned.empty()) inexact_ += " (" + record.not_cloned + ")";
  }
  if (!lost->empty()) inexact_ += (inexact_.empty() ? "" : ", and ") + *lost;
  return {};
}

}  // namespace hasup::snapshot
