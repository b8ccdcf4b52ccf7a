#include "snapshot/room.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <set>

#include "base/unique_fd.hpp"
#include "snapshot/disk.hpp"
#include "snapshot/shared_entries.hpp"
#include "snapshot/swap_record.hpp"
#include "snapshot/swappable.hpp"
#include "snapshot/tree_clone.hpp"
#include "snapshot/volumes.hpp"
#include "snapshot/warm_file.hpp"
#include "snapshot/wipe_rules.hpp"

namespace hasup::snapshot {
namespace {

constexpr int open_dir = O_RDONLY | O_DIRECTORY | O_CLOEXEC;

std::uint64_t on_disk(const struct stat& st) {
  return static_cast<std::uint64_t>(st.st_blocks) * 512;
}

// What a tree takes on the disk, on one file system, each file once however many names it has.
class tree_size {
 public:
  tree_size(int root, dev_t device, const job_control& control) : root_(root), device_(device), control_(control) {}
  // `path` below the root; not there: nothing.
  outcome<void> add(const std::string& path) {
    struct stat st {};
    if (::fstatat(root_, path.c_str(), &st, AT_SYMLINK_NOFOLLOW) != 0) return {};
    return add(path, st);
  }
  [[nodiscard]] std::uint64_t bytes() const { return bytes_; }
  // What removing it would free: what has a second name does not count, which may be elsewhere.
  [[nodiscard]] std::uint64_t freed() const { return freed_; }
  // Names of any kind, with those that count no bytes a second time.
  [[nodiscard]] std::uint64_t entries() const { return entries_; }

 private:
  outcome<void> add(const std::string& path, const struct stat& st) {
    if (control_.cancelled()) return cancelled();
    if (st.st_dev != device_) return {};
    ++entries_;
    const bool has_more_names = st.st_nlink > 1 && !S_ISDIR(st.st_mode);
    if (has_more_names && !seen_.insert(st.st_ino).second) return {};
    bytes_ += on_disk(st);
    if (!has_more_names) freed_ += on_disk(st);
    if (!S_ISDIR(st.st_mode)) return {};
    auto names = list_names(root_, path);
    if (!names) return {};  // removed meanwhile, or not ours to look into: what is known is said
    for (const auto& name : *names) {
      struct stat below {};
      const auto inside = joined(path, name);
      if (::fstatat(root_, inside.c_str(), &below, AT_SYMLINK_NOFOLLOW) != 0) continue;
      if (auto done = add(inside, below); !done) return done;
    }
    return {};
  }

  int root_;
  dev_t device_;
  const job_control& control_;
  std::set<ino_t> seen_;
  std::uint64_t bytes_ = 0;
  std::uint64_t freed_ = 0;
  std::uint64_t entries_ = 0;
};

// Of the data directory, or of the nearest directory above it that exists.
base::unique_fd nearest(std::string path) {
  while (!path.empty()) {
    base::unique_fd fd(::open(path.c_str(), open_dir));
    const auto slash = path.rfind('/');
    if (fd || path == "/" || slash == std::string::npos) return fd;
    path.resize(slash == 0 ? 1 : slash);
  }
  return {};
}

void look_into_cache(int root, ports::room_found& out) {
  auto names = list_names(root, ".hasup/cache");
  if (!names) return;  // there is none
  for (const auto& name : *names) {
    if (name.ends_with(".seal") || name.ends_with(".resume")) continue;
    struct stat st {};
    if (::fstatat(root, (".hasup/cache/" + name).c_str(), &st, AT_SYMLINK_NOFOLLOW) != 0 || !S_ISREG(st.st_mode))
      continue;
    const bool part = name.ends_with(".part");
    out.cached.push_back({part ? name.substr(0, name.size() - 5) : name, !part, on_disk(st)});
  }
}

// What clones take is not counted: it is what the node will overwrite of the shared entries until the recovery is
// confirmed, of which nobody knows how much it is, and which is free again with the clones.
void look_at_reflinks(const ports::worker_job& job, int root, ports::room_found& out) {
  const auto own = open_beneath(root, ".hasup", O_RDONLY | O_DIRECTORY);
  const auto why_none = why_no_reflinks(own ? own->get() : root);
  if (!why_none) return;
  for (const auto& plan : job.plans) {
    std::string why;
    if (!plan.shared.empty()) {
      auto rules = return_rules(plan.shared, job.keep);
      if (rules) why = look_at_shared(root, *rules).why_not;
      if (why.empty()) why = *why_none;
    }
    out.not_cloned.push_back(std::move(why));
  }
}

// What a plan replaces in each, and what is free there.
outcome<void> look_into_volumes(const ports::worker_job& job, const volumes& inside,
                                const std::vector<std::string>& entries, std::size_t plan, const job_control& control,
                                const std::optional<swap_record>& record, std::vector<ports::volume_room>& out) {
  for (const auto& v : inside.all()) {
    auto known = std::find_if(out.begin(), out.end(), [&](const auto& r) { return r.path == v.path; });
    if (known == out.end()) {
      known = out.insert(out.end(), {v.path, 0, 0, {}, {}});
      known->state.assign(job.plans.size(), 0);
      known->freed.assign(job.plans.size(), 0);
      auto free = free_space(v.root.get());
      if (!free) return free.error();
      known->free_bytes = *free;
      auto staging = bytes_on_disk(v.root.get(), ".hasup/staging", control);
      if (!staging) return staging.error();
      known->staging = *staging;
    }
    struct stat st {};
    if (::fstat(v.root.get(), &st) != 0) return system_failure("look at " + v.path, errno);
    tree_size state(v.root.get(), st.st_dev, control);
    for (const auto& entry : entries)
      if (inside.of(entry) == &v)
        if (auto added = state.add(std::string(snapshot::inside(v, entry))); !added) return added;
    known->state[plan] = state.bytes();
    if (record && record->phase == swap_phase::wiped)
      for (const auto& was : record->volumes)
        if (was.path == v.path) known->state[plan] = std::max(known->state[plan], was.deleted_bytes);
    known->freed[plan] = state.freed();
  }
  return {};
}

outcome<void> look_around(const ports::worker_job& job, const job_control& control, ports::room_found& out,
                          std::optional<ports::warm_set>& warm) {
  const auto place = nearest(job.data_dir);
  struct stat st {};
  if (!place || ::fstat(place.get(), &st) != 0) return system_failure("look at " + job.data_dir, errno);
  out.device = st.st_dev;
  auto free = free_space(place.get());
  if (!free) return free.error();
  out.free_bytes = *free;
  out.state.assign(job.plans.size(), 0);
  out.freed.assign(job.plans.size(), 0);
  out.not_swappable.assign(job.plans.size(), "");
  const base::unique_fd root(::open(job.data_dir.c_str(), open_dir));
  if (!root) return {};
  look_into_cache(root.get(), out);
  if (job.look_for_warm) warm = warm_below(root.get());
  look_at_reflinks(job, root.get(), out);
  tree_size staging(root.get(), st.st_dev, control);
  if (auto added = staging.add(".hasup/staging"); !added) return added;
  out.staging = staging.freed();
  // A node that is to make a state anew makes one about as large as that which was deleted for it.
  const auto record = swap_record_below(root.get());
  const auto deleted = record && record->phase == swap_phase::wiped ? record->deleted_bytes : 0;
  for (std::size_t i = 0; i < job.plans.size(); ++i) {
    auto rules = rules_of(job.plans[i], job);
    if (!rules) continue;  // the swap says what is wrong with them
    out.not_swappable[i] = why_not_swappable(root.get(), job.data_dir, *rules, ::geteuid());
    const auto inside = volumes::open(root.get(), job.data_dir, rules->volumes(), ::geteuid());
    if (!inside) continue;  // likewise
    auto entries =
        replaced_entries([&](std::string_view path) { return inside->in_place(root.get(), path); }, *rules);
    if (!entries) continue;
    tree_size state(root.get(), st.st_dev, control);
    for (const auto& entry : *entries)
      if (inside->of(entry) == nullptr)
        if (auto added = state.add(entry); !added) return added;
    out.state[i] = std::max(state.bytes(), deleted);
    out.freed[i] = state.freed();
    if (auto looked = look_into_volumes(job, *inside, *entries, i, control, record, out.volumes); !looked)
      return looked;
  }
  return {};
}

}  // namespace

outcome<std::uint64_t> bytes_on_disk(int root, const std::string& path, const job_control& control) {
  struct stat st {};
  if (::fstat(root, &st) != 0) return system_failure("look at the data directory", errno);
  tree_size size(root, st.st_dev, control);
  if (auto added = size.add(path); !added) return added.error();
  return size.bytes();
}

std::optional<std::uint64_t> entries_of(int root, const std::vector<std::string>& paths, const job_control& control) {
  struct stat st {};
  if (::fstat(root, &st) != 0) return std::nullopt;
  tree_size size(root, st.st_dev, control);
  for (const auto& path : paths)
    if (!size.add(path)) return std::nullopt;
  return size.entries();
}

ports::worker_result measure(const ports::worker_job& job, const job_control& control) {
  ports::worker_result out;
  if (job.data_dir.empty() || job.data_dir[0] != '/') {
    out.failure = ports::worker_failure::refused;
    out.error = "the data directory \"" + job.data_dir + "\" is not an absolute path";
    return out;
  }
  ports::room_found room;
  if (auto looked = look_around(job, control, room, out.warm); !looked) {
    out.failure = looked.error().kind;
    out.error = looked.error().message;
    return out;
  }
  out.room = std::move(room);
  return out;
}

}  // namespace hasup::snapshot
