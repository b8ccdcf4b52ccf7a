#include "snapshot/unpack/unpack.hpp"

#include <fcntl.h>

#include "snapshot/ahead_mark.hpp"
#include "snapshot/staged.hpp"
#include "snapshot/unpack/carry.hpp"
#include "snapshot/unpack/unpacking.hpp"

namespace hasup::snapshot {
namespace {

outcome<void> begin_empty(const data_tree& tree, const disk& d, const job_control& control) {
  const auto stop = [&control] { return control.cancelled(); };
  // The marks go first: what is half deleted must not look staged.
  if (auto there = look(tree.own(), "staging"); there && *there)
    if (auto removed = d.remove_file(tree.own(), "staging/staged.json"); !removed) return removed;
  if (auto removed = remove_ahead(tree.own(), d, stop); !removed) return removed;
  if (auto made = d.make_dir(tree.own(), "staging", 0700); !made) return made;
  // The directory itself stays: it is the one that this process may write.
  for (const int own : tree.owns()) {
    const auto names = list_names(own, "staging");
    if (!names) return names.error();
    for (const auto& name : *names)
      if (auto removed = d.remove_tree(own, joined("staging", name), stop); !removed) return removed;
  }
  return {};
}

// Whether the mark is about these very archives, this very job, and nothing that decided anything has changed since.
outcome<bool> fits(const ahead_mark& mark, const ports::worker_job& job, const data_tree& tree) {
  if (mark.job != key_of(job) || mark.archives.size() != job.chosen->snapshots.size()) return false;
  for (std::size_t i = 0; i < mark.archives.size(); ++i) {
    const auto& s = job.chosen->snapshots[i];
    auto seal = sealed_archive(tree, s);
    if (!seal) return seal.error();
    if (mark.archives[i] != ahead_mark::archive{s.name, seal->sha256, seal->size, seal->inode}) return false;
  }
  for (const auto& [path, was_there] : mark.in_data) {
    if (tree.has(path) != was_there) return false;
  }
  return true;
}

// What was unpacked while it was fetched comes into its place. The mark goes first: with half of it moved it would
// not be true any more, and then all is unpacked again.
outcome<std::optional<ahead_mark>> take_ahead(const ports::worker_job& job, const data_tree& tree, const disk& d,
                                              const job_control& control) {
  const std::optional<ahead_mark> none;
  auto mark = read_ahead_mark(tree.own());
  if (!mark) return mark.error();
  if (!*mark) return none;
  auto same = fits(**mark, job, tree);
  if (!same) return same.error();
  if (!*same) return none;
  const auto own = tree.own();
  if (auto removed = remove_ahead_mark(own, d); !removed) return removed.error();
  if (auto removed = d.remove_file(own, "staging/staged.json"); !removed) return removed.error();
  for (const auto* dir : {"staging/new", "staging/archives", "staging/unpack"})
    if (auto removed = d.remove_tree(own, dir, [&control] { return control.cancelled(); }); !removed)
      return removed.error();
  for (const std::string dir : {"new", "archives"})
    if (auto moved = d.rename(own, "staging/ahead/" + dir, own, "staging/" + dir); !moved) return moved.error();
  if (auto removed = d.remove_tree(own, "staging/ahead"); !removed) return removed.error();
  if (auto synced = d.sync_dir(own, "staging"); !synced) return synced.error();
  return std::move(*mark);
}

std::uint64_t cached_bytes(const ports::worker_job& job, const data_tree& tree) {
  std::uint64_t all = 0;
  for (const auto& s : job.chosen->snapshots)
    if (const auto file = look(tree.own(), "cache/" + s.name); file && *file) all += (*file)->size;
  return all;
}

outcome<void> fill(const ports::worker_job& job, job_control& control, const data_tree& tree, const wipe_rules& rules,
                   ports::worker_result& out) {
  const disk d;
  unpacking all(job, control, tree, rules, {});
  if (auto possible = all.check(); !possible) return possible;
  auto ahead = take_ahead(job, tree, d, control);
  if (!ahead) return ahead.error();
  if (*ahead) {
    if (auto enough = all.check_space(); !enough) return enough;
    out.bytes = (*ahead)->bytes;
    out.notes = (*ahead)->notes;
    out.archive_paths = (*ahead)->archive_paths;
  } else {
    if (auto empty = begin_empty(tree, d, control); !empty) return empty;
    if (auto made = all.make_places(); !made) return made;
    if (auto enough = all.check_space(); !enough) return enough;
    from_cache cache(tree);
    const auto began = job_control::clock::now();
    const auto done = all.run(cache);
    out.work_ms = milliseconds_since(began);
    out.work_bytes = cached_bytes(job, tree);
    out.notes = all.notes();
    out.archive_paths = all.archive_paths();
    if (!done) return done;
    out.bytes = all.bytes();
  }
  auto carried = carry(tree, rules, job.min_free, d, control);
  if (!carried) return carried.error();
  staged ready{job.plan.name, out.archive_paths, {}, std::move(*carried)};
  for (const auto& path : rules.volumes())
    if (const auto* v = tree.mounted().of(path)) ready.volumes.push_back({path, v->id, 0});
  return write_staged(tree.own(), d, ready);
}

}  // namespace

ports::worker_result unpack(const ports::worker_job& job, job_control& control) {
  ports::worker_result out;
  const auto fail = [&](const failure& f) {
    out.failure = f.kind;
    out.error = f.message;
    out.snapshot = f.snapshot;
    return out;
  };
  if (!job.chosen || job.chosen->snapshots.empty()) return fail(refusal("the job names no snapshot to unpack"));
  auto rules = rules_of(job.plan, job);
  if (!rules) return fail(rules.error());
  auto tree = data_tree::open_for_work(job.data_dir, disk{}, control);
  if (!tree) return fail(tree.error());
  if (auto opened = tree->open_volumes(rules->volumes()); !opened) return fail(opened.error());
  if (auto claimed = tree->claim_volumes(disk{}); !claimed) return fail(claimed.error());
  if (auto made = tree->make_places(disk{}, false); !made) return fail(made.error());
  if (auto done = fill(job, control, *tree, *rules, out); !done) return fail(done.error());
  return out;
}

}  // namespace hasup::snapshot
