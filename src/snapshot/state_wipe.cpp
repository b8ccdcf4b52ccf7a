// The old state is deleted before the new one is unpacked: what makes sure that it may be, and that it is never half
// in its place.
#include <algorithm>
#include <map>
#include <utility>

#include "snapshot/cache_seal.hpp"
#include "snapshot/room.hpp"
#include "snapshot/state_swap.hpp"

namespace hasup::snapshot {

outcome<void> state_swap::wipe() {
  if (auto opened = open(work::of_plan); !opened) return opened;
  auto found = read_record();
  if (!found) return found.error();
  if (*found && (*found)->phase != swap_phase::wiped)
    return refusal(
        "this data directory is swapped or half swapped; roll back or clean up before anything of it is deleted");
  if (auto here = check_archives(); !here) return here;
  if (auto empty = check_aside_empty(); !empty) return empty.error();
  // An older copy of a volume must not be taken for the one of which the old state is deleted.
  if (auto known = *found ? check_deleted(**found) : tree_.claim_volumes(disk_, true); !known) return known;
  auto record = *found ? std::move(**found) : swap_record{};
  if (auto planned = plan_wipe(record); !planned) return planned;
  if (auto free = check_no_writer(""); !free) return free;
  if (control_.cancelled()) return cancelled();
  if (auto written = write_record(record); !written) return written;
  // What an earlier try unpacked goes too: the room is for the new one.
  if (auto removed = remove_everywhere("staging"); !removed) return removed;
  return finish_wipe(record);
}

// Without these nothing could come in the place of what is deleted.
outcome<void> state_swap::check_archives() const {
  if (!job_.chosen || job_.chosen->snapshots.empty()) return refusal("the job names no snapshot to make room for");
  for (const auto& s : job_.chosen->snapshots) {
    auto seal = is_plain_relative(s.name) ? read_seal(tree_.own(), s.name)
                                          : outcome<std::optional<cache_seal>>(std::optional<cache_seal>{});
    if (!seal) return seal.error();
    if (!*seal)
      return refusal(tree_.own_path("cache/" + s.name) +
                     " is missing or was changed since it was verified, so the old state is not deleted for it; "
                     "fetch it again");
  }
  return {};
}

outcome<void> state_swap::plan_wipe(swap_record& record) const {
  auto rules = snapshot::rules_of(job_.plan, job_);
  if (!rules) return rules.error();
  auto paths = entries_in_place(*rules);
  if (!paths) return paths.error();
  std::map<std::string, std::uint64_t> sizes;
  for (const auto& path : *paths) {
    const auto at = tree_.in_place(path);
    auto there = look(at);
    if (!there) return there.error();
    if (!*there) continue;
    const auto known = std::find_if(record.deleted.begin(), record.deleted.end(),
                                    [&](const swap_entry& e) { return e.path == path; });
    if (known != record.deleted.end()) continue;  // finish_wipe looks whether it is the same
    swap_entry entry{path, (*there)->id, {}};
    if (auto checked = check_old(entry, **there); !checked) return checked;
    auto size = bytes_on_disk(at.root, at.path, control_);
    if (!size) return size.error();
    sizes[path] = *size;
    record.deleted.push_back(std::move(entry));
  }
  record.phase = swap_phase::wiped;
  record.wiped = true;
  record.plan = job_.plan.name;
  const auto before = std::exchange(record.volumes, {});
  note_rules(record, *rules);
  for (auto& v : record.volumes)
    for (const auto& was : before)
      if (was.path == v.path) v.deleted_bytes = was.deleted_bytes;
  for (const auto& [path, size] : sizes) {
    const auto* in = tree_.mounted().of(path);
    const auto v = std::find_if(record.volumes.begin(), record.volumes.end(),
                                [&](const auto& one) { return in != nullptr && one.path == in->path; });
    (v == record.volumes.end() ? record.deleted_bytes : v->deleted_bytes) += size;
  }
  return {};
}

// Whether the file system that holds `path` is the one that the record is about.
bool state_swap::is_as_recorded(const swap_record& record, const std::string& path) const {
  const auto* here = tree_.mounted().of(path);
  if (here == nullptr) return true;
  return std::none_of(record.volumes.begin(), record.volumes.end(),
                      [&](const swap_volume& v) { return v.path == here->path && v.id != here->id; });
}

// What stands in the place of what was deleted came there by somebody else, and may be good.
outcome<void> state_swap::check_deleted(const swap_record& record) const {
  for (const auto& entry : record.deleted) {
    auto there = look(tree_.in_place(entry.path));
    if (!there) return there.error();
    if (*there && ((*there)->id != *entry.old_entry || !is_as_recorded(record, entry.path)))
      return refusal(tree_.path() + "/" + entry.path +
                     " was put there after the old state was deleted. If the state there is whole and is to stay, "
                     "remove " +
                     tree_.own_path("swap.json") + "; else remove that entry");
  }
  return {};
}

// Out of the data directory by renames, which are on the disk before the first file of it goes.
outcome<void> state_swap::finish_wipe(const swap_record& record) {
  if (auto gone = check_deleted(record); !gone) return gone;
  for (const auto& entry : record.deleted) {
    auto there = look(tree_.in_place(entry.path));
    if (!there) return there.error();
    if (!*there) continue;
    if (auto gone = discard(entry.path); !gone) return gone;
    if (auto synced = disk_.sync_dir(tree_.in_place(parent_of(entry.path))); !synced) return synced;
  }
  if (auto removed = remove_counted({"staging/discard"}, cancelling::ignored); !removed) return removed;
  return sync_owns();
}

}  // namespace hasup::snapshot
