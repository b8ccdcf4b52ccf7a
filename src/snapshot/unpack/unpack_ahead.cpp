#include "snapshot/unpack/unpack_ahead.hpp"

#include <sys/stat.h>

#include <algorithm>

#include "snapshot/ahead_mark.hpp"
#include "snapshot/unpack/arrivals.hpp"
#include "snapshot/unpack/unpacking.hpp"

namespace hasup::snapshot {
namespace {

constexpr std::size_t memory = 24U << 20;     // with what fetching takes no more than unpacking alone
constexpr std::size_t most_looked_up = 1000;  // in the data directory; more are no node's

// The archives as they are sealed now; no answer when one is not the file that was unpacked.
std::optional<std::vector<ahead_mark::archive>> sealed_archives(const ports::worker_job& job, const data_tree& tree,
                                                                const std::function<int(std::size_t)>& fd_of) {
  std::vector<ahead_mark::archive> out;
  for (std::size_t i = 0; i < job.chosen->snapshots.size(); ++i) {
    const auto& s = job.chosen->snapshots[i];
    const auto seal = sealed_archive(tree, s);
    if (!seal) return std::nullopt;
    struct stat st {};
    if (const int fd = fd_of(i); fd >= 0 && (::fstat(fd, &st) != 0 || st.st_ino != seal->inode)) return std::nullopt;
    out.push_back({s.name, seal->sha256, seal->size, seal->inode});
  }
  return out;
}

outcome<void> unpack_all(unpacking& one, archive_supply& supply) {
  if (auto possible = one.check(); !possible) return possible;
  if (auto made = one.make_places(); !made) return made;
  if (auto enough = one.check_space(); !enough) return enough;
  return one.run(supply);
}

outcome<void> mark_whole(const ports::worker_job& job, const data_tree& tree, const disk& d, const unpacking& done,
                         const std::optional<std::vector<ahead_mark::archive>>& archives) {
  if (!archives || done.in_data().size() > most_looked_up) return refusal("nothing that may be marked");
  return write_ahead_mark(tree.own(), d,
                          {key_of(job), *archives, done.in_data(), done.archive_paths(), done.notes(), done.bytes()});
}

outcome<void> attempt(const ports::worker_job& job, const ahead_link& link, const data_tree& tree, arrivals& all,
                      arrivals::generation g) {
  auto rules = rules_of(job.plan, job);
  if (!rules) return rules.error();
  const disk d;
  std::uint32_t archive = 0;
  job_control control(
      [&](const ports::worker_progress& p) {
        for (archive = 0; archive + 1 < job.chosen->snapshots.size(); ++archive)
          if (job.chosen->snapshots[archive].name == p.snapshot) break;
        link.tell({ahead_message::kind::progress, archive, p.bytes_done});
      },
      [&] { return all.is_over(g); });
  unpacking::options o;
  o.place = "staging/ahead";
  o.memory = memory;
  o.spoken_for = [&all] { return all.still_to_come(); };
  unpacking one(job, control, tree, std::move(*rules), std::move(o));
  from_arrivals supply(all, g, tree);
  if (auto done = unpack_all(one, supply); !done) return done;
  for (std::size_t i = 0; i < job.chosen->snapshots.size(); ++i)
    if (auto whole = all.wait_until_whole(i, g); !whole) return whole;
  return mark_whole(job, tree, d, one, sealed_archives(job, tree, [&](std::size_t i) { return supply.fd_of(i); }));
}

// The archives are opened by their seals, so they are the sealed ones.
outcome<void> attempt_from_cache(const ports::worker_job& job, job_control& control, const data_tree& tree,
                                 ports::worker_result& out) {
  auto rules = rules_of(job.plan, job);
  if (!rules) return rules.error();
  const disk d;
  unpacking::options o;
  o.place = "staging/ahead";
  unpacking one(job, control, tree, std::move(*rules), std::move(o));
  from_cache cache(tree);
  if (auto done = unpack_all(one, cache); !done) return done;
  out.bytes = one.bytes();
  out.notes = one.notes();
  return mark_whole(job, tree, d, one, sealed_archives(job, tree, [](std::size_t) { return -1; }));
}

}  // namespace

void unpack_ahead(const ports::worker_job& job, const ahead_link& link, const data_tree& tree) {
  if (!job.chosen || job.chosen->snapshots.empty()) return;
  auto all = arrivals::start(link, *job.chosen);
  if (!all) return;
  const disk d;
  while (true) {
    const auto g = (*all)->now();
    if (!remove_ahead(tree.own(), d)) return;
    const auto done = attempt(job, link, tree, **all, g);
    if (done) return;
    const bool goes_on = !(*all)->is_over(g) || (*all)->now() != g;
    // Who fetches is gone, and so will be the lock: nothing here is touched any more.
    if (!goes_on || !remove_ahead(tree.own(), d)) return;
    if (done.error().kind == ports::worker_failure::no_space) return;
    if (!(*all)->wait_for_another(g)) return;
  }
}

ports::worker_result unpack_for_later(const ports::worker_job& job, job_control& control) {
  ports::worker_result out;
  if (!job.chosen || job.chosen->snapshots.empty())
    return failed_result(refusal("the job names no snapshot to unpack"));
  const disk d;
  auto tree = data_tree::open_for_work(job.data_dir, d, control);
  if (!tree) return failed_result(tree.error());
  if (auto removed = remove_ahead(tree->own(), d, [&control] { return control.cancelled(); }); !removed)
    return failed_result(removed.error());
  const auto done = attempt_from_cache(job, control, *tree, out);
  if (done) return out;
  (void)remove_ahead(tree->own(), d);  // the next job here does it, if it cannot be done now
  return failed_result(done.error());
}

}  // namespace hasup::snapshot
