// The two ends of a swap: back to the old entries, or forward for good.
#include <algorithm>
#include <set>

#include "snapshot/listing.hpp"
#include "snapshot/room.hpp"
#include "snapshot/state_swap.hpp"
#include "snapshot/warm_file.hpp"

namespace hasup::snapshot {
namespace {

constexpr const char* inexact_file = "inexact";

// aside/ and staging/ may hold gigabytes in many files: the deletion asks between any two whether to stop.
std::function<bool()> stop_when_cancelled(const job_control& control) {
  return [&control] { return control.cancelled(); };
}

}  // namespace

outcome<void> state_swap::roll_back() {
  if (auto opened = open(); !opened) return opened;
  auto record = read_record();
  if (!record) return record.error();
  if (*record) {
    auto& r = **record;
    if (r.phase == swap_phase::confirmed)
      return refusal("the new state is confirmed and the old one is being deleted; there is no way back");
    if (auto free = check_no_writer(""); !free) return free;
    if (r.phase == swap_phase::wiped) {
      if (auto gone = finish_wipe(r); !gone) return gone;
    } else if (auto undone = undo_swap(r); !undone) {
      return undone;
    }
    if (auto noted = note_inexact(r); !noted) return noted;
    if (auto written = write_inexact(); !written) return written;
  } else if (auto known = read_inexact(); !known) {
    return known;
  }
  if (auto removed = remove_counted({"staging"}, cancelling::ignored); !removed) return removed;
  auto empty = aside_is_empty();
  if (!empty) return empty.error();
  if (!*empty)
    return refusal(tree_.own_path("aside") +
                   ", or the like in a volume, holds entries that no record names; look whether they are needed");
  if (auto removed = discard_clones(); !removed) return removed;
  if (*record && (*record)->wiped) {
    auto& r = **record;
    r.phase = swap_phase::wiped;
    r.entries.clear();
    r.made_dirs.clear();
    return write_record(r);
  }
  if (auto synced = sync_owns(); !synced) return synced;
  if (*record)
    if (auto removed = disk_.remove_file(tree_.own(), "swap.json"); !removed) return removed;
  return disk_.sync_dir(tree_.own(), "");
}

// Durable before the record goes: nobody may have heard the answer of the job that deleted it.
outcome<void> state_swap::write_inexact() const {
  if (inexact_.empty()) return forget_inexact();
  return disk_.write_durably(tree_.own(), inexact_file, inexact_);
}

outcome<void> state_swap::read_inexact() {
  auto there = look(tree_.own(), inexact_file);
  if (!there) return there.error();
  if (!*there) return {};
  auto text = read_text(tree_.own(), inexact_file);
  if (!text) return text.error();
  inexact_ = std::move(*text);
  return {};
}

outcome<void> state_swap::forget_inexact() const {
  auto removed = disk_.remove_if_there(tree_.own(), inexact_file);
  if (!removed) return removed.error();
  return *removed ? disk_.sync_dir(tree_.own(), "") : outcome<void>();
}

outcome<void> state_swap::undo_swap(swap_record& r) {
  if (auto possible = check_can_return(r); !possible) return possible;
  if (r.phase == swap_phase::intent) {
    r.shared_as = shared_fate::untouched;
    r.clones.clear();
  }
  if (auto possible = check_clones(r); !possible) return possible;
  if (r.phase != swap_phase::rolling_back) {
    r.phase = swap_phase::rolling_back;
    if (auto written = write_record(r); !written) return written;
  }
  if (auto cleared = clear_places(r); !cleared) return cleared;
  if (auto back = return_shared(r); !back) return back;
  return return_old(r);
}

// All or nothing: before anything moves back, every old entry must still be there.
outcome<void> state_swap::check_can_return(const swap_record& record) const {
  for (const auto& entry : record.entries) {
    if (!entry.old_entry) continue;
    auto at = locate(entry);
    if (!at) return at.error();
    if (at->old_at == place::none)
      return failure{ports::worker_failure::internal,
                     "the old " + entry.path +
                         " is neither in .hasup/aside nor in its place; nothing was moved: a "
                         "person must look"};
  }
  return {};
}

// Whatever stands in the data directory where the plan may wipe and is not an old entry was brought by the swap or
// made by an attempt to start.
outcome<void> state_swap::clear_places(const swap_record& record) {
  auto rules = rules_of(record);
  if (!rules) return rules.error();
  auto present = entries_in_place(*rules);
  if (!present) return present.error();
  for (const auto& path : *present) {
    auto found = look(tree_.in_place(path));
    if (!found) return found.error();
    if (!*found) continue;
    const bool is_old = std::any_of(record.entries.begin(), record.entries.end(), [&](const auto& e) {
      return e.path == path && e.old_entry && *e.old_entry == (*found)->id;
    });
    if (is_old) continue;
    if (auto gone = discard(path); !gone) return gone;
  }
  return {};
}

outcome<void> state_swap::return_old(const swap_record& record) {
  for (const auto& entry : record.entries) {
    if (!entry.old_entry) continue;
    auto at = locate(entry);
    if (!at) return at.error();
    if (at->old_at == place::in_place) continue;
    const auto to = tree_.in_place(entry.path);
    if (auto made = disk_.make_parents(to, 0755); !made) return made;
    if (auto moved =
            disk_.rename(at->old_at == place::aside ? tree_.aside(entry.path) : tree_.staged(entry.path), to);
        !moved)
      return moved;
  }
  for (auto dir = record.made_dirs.rbegin(); dir != record.made_dirs.rend(); ++dir) {
    const auto at = tree_.in_place(*dir);
    auto found = look(at);
    if (!found) return found.error();
    if (!*found || !(*found)->is_directory()) continue;
    auto names = list_names(at);
    if (!names) return names.error();
    if (!names->empty()) continue;  // something kept was made inside: it stays
    if (auto removed = disk_.remove_empty_dirs(at.root, at.path); !removed) return removed.error();
  }
  return sync_parents(record);
}

outcome<void> state_swap::clean_up() {
  if (auto opened = open(); !opened) return opened;
  auto record = read_record();
  if (!record) return record.error();
  if (*record) {
    auto& r = **record;
    if (r.phase == swap_phase::intent || r.phase == swap_phase::rolling_back || r.phase == swap_phase::wiped)
      return refusal(
          "the swap of this data directory is only half done; finish it or roll it back before cleaning up");
    if (auto free = check_no_writer(tree_.own_path("aside")); !free) return free;
    for (const auto& v : tree_.mounted().all())
      if (auto free = check_no_writer(joined(tree_.path(), v.path) + "/.hasup/aside"); !free) return free;
    auto lost = lost_of_kept(r);
    if (!lost) return lost.error();
    if (!lost->empty()) notes_.push_back(*lost);
    if (r.phase == swap_phase::swapped) {
      r.phase = swap_phase::confirmed;
      if (auto written = write_record(r); !written) return written;
    }
    if (auto removed = remove_counted({"aside", "staging"}, cancelling::heeded); !removed) return removed;
    if (auto removed = discard_clones(stop_when_cancelled(control_)); !removed) return removed;
  } else {
    auto empty = aside_is_empty();
    if (!empty) return empty.error();
    if (!*empty) notes_.push_back(tree_.own_path("aside") + " holds old entries without a record; left as they are");
    if (*empty)
      if (auto removed = discard_clones(stop_when_cancelled(control_)); !removed) return removed;
  }
  if (auto removed = remove_everywhere("staging", stop_when_cancelled(control_)); !removed) return removed;
  if (auto synced = sync_owns(); !synced) return synced;
  if (*record) {
    if (auto removed = disk_.remove_file(tree_.own(), "swap.json"); !removed) return removed;
    if (auto synced = disk_.sync_dir(tree_.own(), ""); !synced) return synced;
  }
  return prune_cache();
}

// In .hasup, and in that of each volume; tells how far it is.
outcome<void> state_swap::remove_counted(const std::vector<std::string>& paths, cancelling c) {
  std::optional<std::uint64_t> all = 0;
  for (const int own : tree_.owns()) {
    const auto here = entries_of(own, paths, control_);
    all = all && here ? std::optional(*all + *here) : std::nullopt;
  }
  const bool counts = !all || *all > 0;
  if (counts) control_.begin_files(std::string(ports::worker_mode_names.text(job_.mode)), all);
  const auto each = [&] {
    if (counts) control_.count_file();
    return c == cancelling::heeded && control_.cancelled();
  };
  for (const int own : tree_.owns()) {
    for (const auto& path : paths) {
      auto there = look(own, path);
      if (!there) return there.error();
      if (!*there) continue;
      if (auto removed = disk_.remove_tree(own, path, each); !removed) return removed;
    }
  }
  return {};
}

// The archives of the confirmed snapshot stay: the next recovery may need nothing else. Without a choice the newest
// whole archive stays.
outcome<void> state_swap::prune_cache() {
  auto there = look(tree_.own(), "cache");
  if (!there) return there.error();
  if (!*there) return {};
  std::vector<std::string> stay;
  if (job_.chosen)
    for (const auto& s : job_.chosen->snapshots) stay.push_back(s.name);
  if (stay.empty()) {
    auto newest = newest_in_cache();
    if (!newest) return newest.error();
    stay.push_back(std::move(*newest));
  }
  if (auto kept = keep_in_cache(tree_.own(), disk_, stay); !kept) return kept;
  auto warm = read_warm(tree_.own());
  if (!warm) return warm.error();
  return *warm ? outcome<void>() : remove_warm(tree_.own(), disk_);
}

outcome<std::string> state_swap::newest_in_cache() const {
  auto names = list_names(tree_.own(), "cache");
  if (!names) return names.error();
  std::pair<std::int64_t, std::string> newest{INT64_MIN, ""};
  for (const auto& name : *names) {
    if (name.ends_with(".part") || name.ends_with(".seal") || name.ends_with(".resume")) continue;
    auto info = look(tree_.own(), "cache/" + name);
    if (!info) return info.error();
    if (*info && (*info)->is_file()) newest = std::max(newest, {(*info)->modified_ns, name});
  }
  return std::move(newest.second);
}

// Never beside a swap that is not over: what is staged may be all that there is of the new state.
outcome<void> state_swap::drop_warm() {
  if (auto opened = open(); !opened) return opened;
  auto record = read_swap_record(tree_.own());
  if (!record) return record.error();
  if (*record) return refusal("a recovery of this data directory is not over");
  if (auto removed = remove_warm(tree_.own(), disk_); !removed) return removed;
  for (const auto* mark : {"staging/staged.json", "staging/ahead.json"})
    if (auto removed = disk_.remove_if_there(tree_.own(), mark); !removed) return removed.error();
  for (const auto* dir : {"staging", "cache"})
    if (auto removed = remove_everywhere(dir, stop_when_cancelled(control_)); !removed) return removed;
  return disk_.sync_dir(tree_.own(), "");
}

outcome<void> state_swap::discard_archives() {
  if (auto opened = open(); !opened) return opened;
  auto warm = read_warm(tree_.own());
  if (!warm) return warm.error();
  const auto is_kept = [&](const std::string& name) {
    if (!*warm) return false;
    const auto& files = (*warm)->candidates.front().snapshots;
    const auto& bad = job_.useless_sha256;
    for (std::size_t i = 0; i < files.size(); ++i)
      if (files[i].name == name && std::find(bad.begin(), bad.end(), (*warm)->sha256[i]) == bad.end()) return true;
    return false;
  };
  auto cache = look(tree_.own(), "cache");
  if (!cache) return cache.error();
  if (!*cache) return {};
  for (const auto& name : job_.useless) {
    if (!is_snapshot_name(name) || !is_plain_relative(name) || is_kept(name)) continue;
    // Without its seal it is none of warm.json's any more.
    for (const auto* ending : {".seal", "", ".resume", ".part"})
      if (auto removed = disk_.remove_if_there(tree_.own(), "cache/" + name + ending); !removed)
        return removed.error();
  }
  return disk_.sync_dir(tree_.own(), "cache");
}

}  // namespace hasup::snapshot
