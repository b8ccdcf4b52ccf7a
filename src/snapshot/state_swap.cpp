// swap and rewipe; the ways back and forward for good stand in state_swap_end.cpp.
#include "snapshot/state_swap.hpp"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <set>

#include "snapshot/inspect.hpp"
#include "snapshot/staged.hpp"
#include "snapshot/swappable.hpp"

namespace hasup::snapshot {
namespace {

std::string aside_path(const std::string& path) {
  return "aside/" + path;
}
std::string staged_path(const std::string& path) {
  return "staging/new/" + path;
}

failure not_ours(const std::string& path) {
  return {ports::worker_failure::internal,
          path +
              ": neither the old nor the new entry is where hasup put it; it was changed by hand, so a person must "
              "look at .hasup/swap.json and .hasup/aside"};
}

}  // namespace

outcome<void> state_swap::open() {
  auto tree = data_tree::open_for_work(job_.data_dir, disk_, control_);
  if (!tree) return tree.error();
  tree_ = std::move(*tree);
  return {};
}

outcome<std::optional<swap_record>> state_swap::read_record() {
  auto record = read_swap_record(tree_.own());
  has_record_ = !record || *record;
  if (record && *record) wiped_ = (*record)->wiped;
  return record;
}

outcome<void> state_swap::write_record(const swap_record& record) {
  has_record_ = true;
  wiped_ = wiped_ || record.wiped;  // a failed write may have come to the disk all the same
  return write_swap_record(tree_.own(), disk_, record);
}

outcome<wipe_rules> state_swap::rules_of(const swap_record& record) const {
  return wipe_rules::from(record.wipe, record.keep, record.shared);
}

outcome<void> state_swap::swap() {
  if (auto opened = open(); !opened) return opened;
  auto record = read_record();
  if (!record) return record.error();
  const bool wiped = *record && (*record)->phase == swap_phase::wiped;
  if (*record && !wiped) {
    if ((*record)->phase == swap_phase::confirmed)
      return refusal("an earlier recovery of this data directory is confirmed but not cleaned up; clean it up first");
    if ((*record)->phase == swap_phase::rolling_back)
      return refusal("the old state of this data directory is on its way back; finish the roll back first");
    if ((*record)->plan != job_.plan.name)
      return refusal("this data directory is already swapped by plan \"" + (*record)->plan +
                     "\"; roll it back first");
    // Written once more: the job that wrote it may have died, or have been refused, before it was durable.
    if (auto written = write_record(**record); !written) return written;
    note_shared(**record);
    if ((*record)->phase == swap_phase::swapped) return {};
    if (auto free = check_no_writer(""); !free) return free;
  } else {
    if (wiped)
      if (auto gone = finish_wipe(**record); !gone) return gone;
    if (auto forgotten = forget_inexact(); !forgotten) return forgotten;
    auto planned = plan_swap();
    if (!planned) return planned.error();
    if (control_.cancelled()) return cancelled();
    if (wiped) {
      planned->wiped = true;
      planned->deleted = (*record)->deleted;
      planned->deleted_bytes = (*record)->deleted_bytes;
    } else if (auto cloned = clone_beside(*planned); !cloned) {
      return cloned;
    }
    if (auto written = write_record(*planned); !written) return written;
    record = std::optional<swap_record>(std::move(*planned));
    note_shared(**record);
  }
  return move_everything_in(**record);
}

outcome<swap_record> state_swap::plan_swap() {
  auto rules = wipe_rules::from(job_.plan.wipe, job_.keep, job_.plan.shared);
  if (!rules) return rules.error();
  auto ready = read_staged(tree_.own());
  if (!ready) return ready.error();
  if (!job_.plan.archives.empty() && (!*ready || (*ready)->plan != job_.plan.name))
    return refusal("nothing is staged for plan \"" + job_.plan.name + "\"; fetch and unpack a snapshot first");
  if (auto empty = check_aside_empty(); !empty) return empty.error();

  swap_record record;
  record.plan = job_.plan.name;
  record.wipe = rules->wipe();
  record.keep = rules->keep();
  record.shared = rules->shared();
  auto old_paths = replaced_entries(tree_.root(), "", *rules);
  if (!old_paths) return old_paths.error();
  auto new_paths = replaced_entries(tree_.own(), "staging/new", *rules);
  if (!new_paths) return new_paths.error();
  std::set<std::string> paths(old_paths->begin(), old_paths->end());
  paths.insert(new_paths->begin(), new_paths->end());

  for (const auto& path : paths) {
    swap_entry entry{path, {}, {}};
    auto old_entry = look(tree_.root(), path);
    if (!old_entry) return old_entry.error();
    if (*old_entry) {
      if (auto checked = check_old(entry, **old_entry); !checked) return checked.error();
      entry.old_entry = (*old_entry)->id;
    }
    auto new_entry = look(tree_.own(), staged_path(path));
    if (!new_entry) return new_entry.error();
    if (*new_entry) entry.new_entry = (*new_entry)->id;
    // A file of the one side where the other has a directory that is swapped by its children.
    for (auto up = parent_of(path); !up.empty(); up = parent_of(up)) {
      if (paths.contains(std::string(up)))
        return refusal(std::string(up) +
                       " is a file in the data directory or in the snapshot, but a directory in the "
                       "other; move it aside");
      auto parent = look(tree_.root(), up);
      if (!parent) return parent.error();
      const std::string dir(up);
      if (!*parent && std::find(record.made_dirs.begin(), record.made_dirs.end(), dir) == record.made_dirs.end())
        record.made_dirs.push_back(dir);
    }
    record.entries.push_back(std::move(entry));
  }
  std::sort(record.made_dirs.begin(), record.made_dirs.end());
  if (auto free = check_no_writer(""); !free) return free.error();
  return record;
}

outcome<void> state_swap::check_old(const swap_entry& entry, const entry_info& found) const {
  auto own = look(tree_.own(), "");
  if (!own) return own.error();
  return check_swappable(joined(tree_.path(), entry.path), found, *own ? (*own)->device : found.device, ::geteuid());
}

outcome<void> state_swap::check_aside_empty() const {
  auto empty = disk_.remove_empty_dirs(tree_.own(), "aside");
  if (!empty) return empty.error();
  if (!*empty)
    return refusal(tree_.own_path("aside") +
                   " holds old entries without a record of them; look whether they are "
                   "needed and move them away");
  return {};
}

outcome<void> state_swap::check_no_writer(const std::string& dir) const {
  auto writer = find_writer(job_, dir);
  if (!writer) return writer.error();
  if (*writer) return failure{ports::worker_failure::writer, describe(**writer)};
  return {};
}

outcome<state_swap::position> state_swap::locate(const swap_entry& entry) const {
  position at;
  const std::array<std::pair<place, std::pair<int, std::string>>, 3> spots{
      {{place::in_place, {tree_.root(), entry.path}},
       {place::aside, {tree_.own(), aside_path(entry.path)}},
       {place::staged, {tree_.own(), staged_path(entry.path)}}}};
  for (const auto& [where, spot] : spots) {
    auto found = look(spot.first, spot.second);
    if (!found) return found.error();
    if (!*found) continue;
    if (entry.old_entry && (*found)->id == *entry.old_entry) at.old_at = where;
    if (entry.new_entry && (*found)->id == *entry.new_entry) at.new_at = where;
  }
  return at;
}

outcome<bool> state_swap::settle_step(const swap_entry& entry, const position& at) {
  const auto aside = aside_path(entry.path);
  const auto staged = staged_path(entry.path);
  const bool has_old = entry.old_entry.has_value();
  const bool has_new = entry.new_entry.has_value();
  const auto done = [](outcome<void> moved) -> outcome<bool> {
    if (!moved) return moved.error();
    return false;
  };
  const bool old_settled = has_old ? at.old_at == place::aside : at.old_at == place::none;
  const bool new_settled = has_new ? at.new_at == place::in_place : at.new_at == place::none;
  if (old_settled && new_settled) return true;

  if (has_old && at.old_at == place::in_place && has_new && at.new_at == place::staged) {
    auto exchanged = disk_.exchange(tree_.root(), entry.path, tree_.own(), staged);
    if (!exchanged) return exchanged.error();
    if (*exchanged) return false;
  }
  const bool old_waits = at.old_at == place::in_place && at.new_at != place::in_place;
  if (has_old && (old_waits || (at.old_at == place::staged && at.new_at == place::in_place))) {
    if (auto made = disk_.make_parents(tree_.own(), aside, 0700); !made) return made.error();
    return at.old_at == place::in_place ? done(disk_.rename(tree_.root(), entry.path, tree_.own(), aside))
                                        : done(disk_.rename(tree_.own(), staged, tree_.own(), aside));
  }
  if (has_new && at.new_at == place::staged && old_settled)
    return done(disk_.rename(tree_.own(), staged, tree_.root(), entry.path));
  return not_ours(entry.path);
}

outcome<void> state_swap::settle(const swap_entry& entry) {
  // At most: out of the way, into place, and the look that says so.
  for (int step = 0; step < 4; ++step) {
    auto at = locate(entry);
    if (!at) return at.error();
    auto settled = settle_step(entry, *at);
    if (!settled) return settled.error();
    if (*settled) return {};
  }
  return not_ours(entry.path);
}

outcome<void> state_swap::move_everything_in(swap_record& record) {
  if (auto made = disk_.make_dir(tree_.own(), "aside", 0700); !made) return made;
  for (const auto& dir : record.made_dirs)
    if (auto made = disk_.make_dir(tree_.root(), dir, 0755); !made) return made;
  for (const auto& entry : record.entries)
    if (auto settled = settle(entry); !settled) return settled;
  if (auto synced = sync_parents(record); !synced) return synced;
  record.phase = swap_phase::swapped;
  return write_record(record);
}

outcome<void> state_swap::sync_parents(const swap_record& record) const {
  std::set<std::string> parents;
  for (const auto& entry : record.entries)
    for (auto up = parent_of(entry.path);; up = parent_of(up)) {
      parents.insert(std::string(up));
      if (up.empty()) break;
    }
  for (const auto& parent : parents) {
    const std::array<std::pair<int, std::string>, 3> dirs{{{tree_.root(), parent},
                                                           {tree_.own(), joined("aside", parent)},
                                                           {tree_.own(), joined("staging/new", parent)}}};
    for (const auto& [root, path] : dirs) {
      const std::string dir = path.ends_with('/') ? path.substr(0, path.size() - 1) : path;
      auto found = look(root, dir);
      if (!found) return found.error();
      if (!*found || !(*found)->is_directory()) continue;
      if (auto synced = disk_.sync_dir(root, dir); !synced) return synced;
    }
  }
  return disk_.sync_dir(tree_.own(), "");
}

outcome<void> state_swap::rewipe() {
  if (auto opened = open(); !opened) return opened;
  auto record = read_record();
  if (!record) return record.error();
  if (!*record || (*record)->phase != swap_phase::swapped)
    return refusal("this data directory is not swapped, so there is nothing of a failed first start to remove");
  if (auto free = check_no_writer(""); !free) return free;
  auto rules = rules_of(**record);
  if (!rules) return rules.error();
  auto present = replaced_entries(tree_.root(), "", *rules);
  if (!present) return present.error();
  for (const auto& path : *present) {
    const auto& entries = (*record)->entries;
    const auto known = std::find_if(entries.begin(), entries.end(), [&](const auto& e) { return e.path == path; });
    if (known != entries.end() && known->new_entry) continue;
    auto found = look(tree_.root(), path);
    if (!found) return found.error();
    if (!*found) continue;
    // An old entry in place of a swapped directory was put there by hand.
    if (known != entries.end() && known->old_entry == (*found)->id) return not_ours(path);
    if (auto gone = discard(path); !gone) return gone;
  }
  if (auto removed = disk_.remove_tree(tree_.own(), "staging/discard"); !removed) return removed;
  return disk_.sync_dir(tree_.root(), "");
}

// Out of the data directory by one rename, so that a crash never leaves half of it in place; deleted afterwards.
outcome<void> state_swap::discard(const std::string& path) {
  if (auto made = disk_.make_parents(tree_.own(), "staging/discard/x", 0700); !made) return made;
  for (unsigned n = 0;; ++n) {
    const auto target = "staging/discard/" + std::to_string(n);
    auto taken = look(tree_.own(), target);
    if (!taken) return taken.error();
    if (!*taken) return disk_.rename(tree_.root(), path, tree_.own(), target);
  }
}

}  // namespace hasup::snapshot
