// swap and rewipe; the ways back and forward for good stand in state_swap_end.cpp.
#include "snapshot/state_swap.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <set>

#include "snapshot/inspect.hpp"
#include "snapshot/mount_point.hpp"
#include "snapshot/staged.hpp"
#include "snapshot/swappable.hpp"

namespace hasup::snapshot {
namespace {

failure not_ours(const std::string& path) {
  return {ports::worker_failure::internal,
          path +
              ": neither the old nor the new entry is where hasup put it; it was changed by hand, so a person must "
              "look at .hasup/swap.json and .hasup/aside"};
}

}  // namespace

outcome<void> state_swap::open(work w) {
  auto tree = data_tree::open_for_work(job_.data_dir, disk_, control_);
  if (!tree) return tree.error();
  tree_ = std::move(*tree);
  auto mounted = mount_points();
  if (!mounted) return mounted.error();
  mounted_ = std::move(*mounted);
  return open_volumes(w);
}

// Those that a record names, which must be the very same; for a plan's own work those of the plan; and of the others
// those in which an earlier job may have left something, as far as they are there.
outcome<void> state_swap::open_volumes(work w) {
  auto rules = snapshot::rules_of(job_.plan, job_);
  if (!rules) return rules.error();
  const auto record = read_record();
  if (!record) return {};  // whoever needs it reads it once more
  std::set<std::string> paths;
  if (w == work::of_plan)
    for (auto& path : rules->volumes()) paths.insert(std::move(path));
  if (*record)
    for (const auto& v : (*record)->volumes) paths.insert(v.path);
  for (const auto& path : volumes_below(job_.data_dir, job_.mounts)) {
    const auto left = volumes::open(tree_.root(), tree_.path(), {path}, ::geteuid());
    if (left && !left->all().front().id.empty()) paths.insert(path);
  }
  if (auto opened = tree_.open_volumes({paths.begin(), paths.end()}); !opened) return opened;
  if (*record)
    if (auto same = check_volumes(**record); !same) return same;
  return tree_.claim_volumes(disk_);
}

// After a wipe another file system may stand there; what is in it is not deleted (is_as_recorded).
outcome<void> state_swap::check_volumes(const swap_record& record) const {
  if (record.phase == swap_phase::wiped) return {};
  for (const auto& v : record.volumes) {
    const auto* here = tree_.mounted().of(v.path);
    if (here == nullptr || here->id != v.id)
      return refusal(joined(tree_.path(), v.path) +
                     " is another file system than the one that .hasup/swap.json is about; mount that one. If it is "
                     "gone for good, so is the state that it held: stop the unit, remove " +
                     tree_.own_path("swap.json") + ", move " + tree_.own_path("aside") +
                     " away, end the recovery with --rollback, and recover anew");
  }
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
  std::vector<std::string> inside;
  for (const auto& v : record.volumes) inside.push_back(v.path);
  return wipe_rules::from(record.wipe, record.keep, record.shared, std::move(inside));
}

outcome<void> state_swap::swap() {
  if (auto opened = open(work::of_plan); !opened) return opened;
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
      for (auto& v : planned->volumes)
        for (const auto& was : (*record)->volumes)
          if (was.path == v.path) v.deleted_bytes = was.deleted_bytes;
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
  auto rules = snapshot::rules_of(job_.plan, job_);
  if (!rules) return rules.error();
  auto ready = read_staged(tree_.own());
  if (!ready) return ready.error();
  if (!job_.plan.archives.empty() && (!*ready || (*ready)->plan != job_.plan.name))
    return refusal("nothing is staged for plan \"" + job_.plan.name + "\"; fetch and unpack a snapshot first");
  if (auto empty = check_aside_empty(); !empty) return empty.error();

  swap_record record;
  record.plan = job_.plan.name;
  note_rules(record, *rules);
  auto old_paths = entries_in_place(*rules);
  if (!old_paths) return old_paths.error();
  auto new_paths = replaced_entries([this](std::string_view path) { return tree_.staged(path); }, *rules);
  if (!new_paths) return new_paths.error();
  if (*ready)
    if (auto here = check_carried(**ready, *rules, *new_paths); !here) return here.error();
  std::set<std::string> paths(old_paths->begin(), old_paths->end());
  paths.insert(new_paths->begin(), new_paths->end());

  for (const auto& path : paths) {
    swap_entry entry{path, {}, {}};
    auto old_entry = look(tree_.in_place(path));
    if (!old_entry) return old_entry.error();
    if (*old_entry) {
      if (auto checked = check_old(entry, **old_entry); !checked) return checked.error();
      entry.old_entry = (*old_entry)->id;
    }
    auto new_entry = look(tree_.staged(path));
    if (!new_entry) return new_entry.error();
    if (*new_entry) entry.new_entry = (*new_entry)->id;
    // A file of the one side where the other has a directory that is swapped by its children.
    for (auto up = parent_of(path); !up.empty(); up = parent_of(up)) {
      if (paths.contains(std::string(up)))
        return refusal(std::string(up) +
                       " is a file in the data directory or in the snapshot, but a directory in the "
                       "other; move it aside");
      auto parent = look(tree_.in_place(up));
      if (!parent) return parent.error();
      const std::string dir(up);
      if (!*parent && std::find(record.made_dirs.begin(), record.made_dirs.end(), dir) == record.made_dirs.end())
        record.made_dirs.push_back(dir);
    }
    record.entries.push_back(std::move(entry));
  }
  std::sort(record.made_dirs.begin(), record.made_dirs.end());
  if (auto kept = note_kept(record); !kept) return kept.error();
  if (auto free = check_no_writer(""); !free) return free.error();
  return record;
}

outcome<std::vector<std::string>> state_swap::entries_in_place(const wipe_rules& rules) const {
  return replaced_entries([this](std::string_view path) { return tree_.in_place(path); }, rules);
}

void state_swap::note_rules(swap_record& record, const wipe_rules& rules) const {
  record.wipe = rules.wipe();
  record.keep = rules.keep();
  record.shared = rules.shared();
  record.volumes.clear();
  for (const auto& path : rules.volumes())
    if (const auto* v = tree_.mounted().of(path)) record.volumes.push_back({path, v->id, 0});
}

// A volume may have lost what came there last, hold what came for another snapshot, or be another one: what replaces
// the old entries must be what was prepared, no more and no less.
outcome<void> state_swap::check_carried(const staged& ready, const wipe_rules& rules,
                                        const std::vector<std::string>& new_paths) const {
  const auto again = [&](const std::string& path) {
    const auto shown = path.empty() ? tree_.path() : joined(tree_.path(), path);
    return refusal(shown + " is not as it was prepared; unpack the snapshot again");
  };
  const auto inside = rules.volumes();
  if (ready.volumes.size() != inside.size()) return again(inside.empty() ? "" : inside.front());
  for (const auto& v : ready.volumes) {
    const auto* here = tree_.mounted().of(v.path);
    if (here == nullptr || here->path != v.path || here->id != v.id) return again(v.path);
  }
  for (const auto& path : new_paths)
    if (tree_.mounted().of(path) != nullptr && !ready.carried.contains(path)) return again(path);
  for (const auto& [path, id] : ready.carried) {
    if (std::find(new_paths.begin(), new_paths.end(), path) == new_paths.end()) return again(path);
    auto there = look(tree_.staged(path));
    if (!there) return there.error();
    if (!*there || (*there)->id != id) return again(path);
  }
  return {};
}

outcome<void> state_swap::check_old(const swap_entry& entry, const entry_info& found) const {
  const auto* v = tree_.mounted().of(entry.path);
  auto own = look(tree_.own(), "");
  if (!own) return own.error();
  const auto device = v != nullptr ? v->device : *own ? (*own)->device : found.device;
  const auto shown = joined(tree_.path(), entry.path);
  if (auto can = check_swappable(shown, found, device, ::geteuid()); !can || !found.is_directory()) return can;
  return check_nothing_mounted(shown, tree_.in_place(entry.path), mounted_);
}

outcome<bool> state_swap::aside_is_empty() const {
  bool all = true;
  for (const int own : tree_.owns()) {
    auto empty = disk_.remove_empty_dirs(own, "aside");
    if (!empty) return empty.error();
    all = all && *empty;
  }
  return all;
}

outcome<void> state_swap::check_aside_empty() const {
  auto empty = aside_is_empty();
  if (!empty) return empty.error();
  if (!*empty)
    return refusal(tree_.own_path("aside") +
                   ", or the like in a volume, holds old entries without a record of them; look whether they are "
                   "needed and move them away");
  return {};
}

outcome<void> state_swap::remove_everywhere(const std::string& path, const std::function<bool()>& stop) const {
  for (const int own : tree_.owns())
    if (auto removed = disk_.remove_tree(own, path, stop); !removed) return removed;
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
  const std::array<std::pair<place, spot>, 3> spots{{{place::in_place, tree_.in_place(entry.path)},
                                                     {place::aside, tree_.aside(entry.path)},
                                                     {place::staged, tree_.staged(entry.path)}}};
  for (const auto& [where, at_spot] : spots) {
    auto found = look(at_spot);
    if (!found) return found.error();
    if (!*found) continue;
    if (entry.old_entry && (*found)->id == *entry.old_entry) at.old_at = where;
    if (entry.new_entry && (*found)->id == *entry.new_entry) at.new_at = where;
  }
  return at;
}

outcome<bool> state_swap::settle_step(const swap_entry& entry, const position& at) {
  const auto here = tree_.in_place(entry.path);
  const auto aside = tree_.aside(entry.path);
  const auto staged = tree_.staged(entry.path);
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
    auto exchanged = disk_.exchange(here, staged);
    if (!exchanged) return exchanged.error();
    if (*exchanged) return false;
  }
  const bool old_waits = at.old_at == place::in_place && at.new_at != place::in_place;
  if (has_old && (old_waits || (at.old_at == place::staged && at.new_at == place::in_place))) {
    if (auto made = disk_.make_parents(aside, 0700); !made) return made.error();
    return done(disk_.rename(at.old_at == place::in_place ? here : staged, aside));
  }
  if (has_new && at.new_at == place::staged && old_settled) return done(disk_.rename(staged, here));
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
  for (const int own : tree_.owns())
    if (auto made = disk_.make_dir(own, "aside", 0700); !made) return made;
  for (const auto& dir : record.made_dirs) {
    const auto at = tree_.in_place(dir);
    if (auto made = disk_.make_dir(at.root, at.path, 0755); !made) return made;
  }
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
    const std::array<spot, 3> dirs{tree_.in_place(parent), tree_.aside(parent), tree_.staged(parent)};
    for (const auto& dir : dirs) {
      auto found = look(dir);
      if (!found) return found.error();
      if (!*found || !(*found)->is_directory()) continue;
      if (auto synced = disk_.sync_dir(dir); !synced) return synced;
    }
  }
  return sync_owns();
}

outcome<void> state_swap::sync_owns() const {
  // The volumes first: what is durable in the data directory's own speaks of them.
  auto owns = tree_.owns();
  for (auto own = owns.rbegin(); own != owns.rend(); ++own)
    if (auto synced = disk_.sync_dir(*own, ""); !synced) return synced;
  return {};
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
  auto present = entries_in_place(*rules);
  if (!present) return present.error();
  for (const auto& path : *present) {
    const auto& entries = (*record)->entries;
    const auto known = std::find_if(entries.begin(), entries.end(), [&](const auto& e) { return e.path == path; });
    if (known != entries.end() && known->new_entry) continue;
    auto found = look(tree_.in_place(path));
    if (!found) return found.error();
    if (!*found) continue;
    // An old entry in place of a swapped directory was put there by hand.
    if (known != entries.end() && known->old_entry == (*found)->id) return not_ours(path);
    if (auto gone = discard(path); !gone) return gone;
  }
  if (auto removed = remove_everywhere("staging/discard"); !removed) return removed;
  for (const auto& v : tree_.mounted().all())
    if (auto synced = disk_.sync_dir(v.root.get(), ""); !synced) return synced;
  return disk_.sync_dir(tree_.root(), "");
}

// Out of the data directory by one rename, so that a crash never leaves half of it in place; deleted afterwards.
outcome<void> state_swap::discard(const std::string& path) {
  const auto* v = tree_.mounted().of(path);
  const int own = v == nullptr ? tree_.own() : v->own.get();
  if (auto made = disk_.make_parents(own, "staging/discard/x", 0700); !made) return made;
  for (unsigned n = 0;; ++n) {
    const spot target{own, "staging/discard/" + std::to_string(n)};
    auto taken = look(target);
    if (!taken) return taken.error();
    if (!*taken) return disk_.rename(tree_.in_place(path), target);
  }
}

}  // namespace hasup::snapshot
