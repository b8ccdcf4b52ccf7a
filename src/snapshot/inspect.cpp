#include "snapshot/inspect.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <thread>

#include "snapshot/disk.hpp"
#include "snapshot/mount_point.hpp"
#include "snapshot/open_files.hpp"
#include "snapshot/swap_record.hpp"
#include "snapshot/volumes.hpp"
#include "snapshot/warm_file.hpp"
#include "snapshot/write_lease.hpp"

namespace hasup::snapshot {
namespace {

constexpr int open_dir = O_RDONLY | O_DIRECTORY | O_CLOEXEC;

std::set<std::int32_t> excluded_pids(const ports::worker_job& job) {
  auto pids = own_line();
  pids.insert(job.tolerated.begin(), job.tolerated.end());
  return pids;
}

// What hasup keeps beside the node's own: an old state that somebody still has open is not the node's.
std::vector<std::string> own_dirs(const ports::worker_job& job) {
  std::vector<std::string> out{job.data_dir + "/.hasup"};
  for (const auto& dir : job.also) out.push_back(dir + "/.hasup");
  for (const auto& path : volumes_below(job.data_dir, job.mounts))
    out.push_back(joined(job.data_dir, path) + "/.hasup");
  return out;
}

ports::writer_info seen_as(std::int32_t pid, std::string command, std::string path) {
  ports::writer_info w;
  w.pid = pid;
  w.command = std::move(command);
  w.path = std::move(path);
  return w;
}

// The kernel tells the holder of a POSIX lock; of an open-file-description lock only that there is one.
outcome<std::optional<ports::writer_info>> find_lock_holder(const ports::worker_job& job,
                                                            const std::set<std::int32_t>& excluded) {
  const base::unique_fd root(::open(job.data_dir.c_str(), open_dir));
  if (!root) return std::optional<ports::writer_info>{};
  for (const auto& name : job.locks) {
    if (!is_plain_relative(name))
      return refusal("locks has \"" + name + "\"; it must be a path below the data directory");
    auto fd = open_beneath(root.get(), name, O_RDONLY | O_NONBLOCK | O_NOCTTY, mounts::cross);
    if (!fd) continue;  // not there, or not readable for us: the open files say the rest
    struct flock lock {};
    lock.l_type = F_WRLCK;
    lock.l_whence = SEEK_SET;
    if (::fcntl(fd->get(), F_GETLK, &lock) != 0 || lock.l_type == F_UNLCK) continue;
    const std::string path = job.data_dir + "/" + name;
    if (lock.l_pid <= 0) {
      // Named by pid in the search of open files, if it can be seen at all; if not, someone unseen still holds it.
      auto seen = find_open_writer(file_set({job.data_dir}, own_dirs(job)), {});
      if (seen && excluded.contains(seen->pid)) continue;
      if (seen) return seen;
      return std::optional<ports::writer_info>{seen_as(0, "a process that cannot be seen from here", path)};
    }
    if (!excluded.contains(lock.l_pid))
      return std::optional<ports::writer_info>{seen_as(lock.l_pid, command_of(lock.l_pid), path)};
  }
  return std::optional<ports::writer_info>{};
}

// A writer whom the kernel counts and nobody can name: its process cannot be read from here. What a process had open
// may be let go of by the kernel itself, a moment after its end (io_uring), so this is said only of what stays.
std::optional<ports::writer_info> find_unseen_writer(const std::vector<std::string>& dirs,
                                                     const std::vector<std::string>& without,
                                                     const std::set<std::int32_t>& excluded) {
  using namespace std::chrono_literals;
  const auto until = std::chrono::steady_clock::now() + 2s;
  auto held = ask_for_writers(dirs, without);
  while (held.who == writing::somebody && std::chrono::steady_clock::now() < until) {
    std::this_thread::sleep_for(20ms);
    held = ask_for_writers(dirs, without);
  }
  if (held.who != writing::somebody) return std::nullopt;
  auto seen = find_open_writer(file_set(dirs, without), {});
  if (!seen) return seen_as(0, "a process that cannot be seen from here", held.path);
  if (excluded.contains(seen->pid)) return std::nullopt;
  return seen;
}

// The directory, or the nearest one above it that exists.
base::unique_fd nearest(std::string path) {
  while (!path.empty()) {
    base::unique_fd fd(::open(path.c_str(), open_dir));
    if (fd) return fd;
    const auto slash = path.rfind('/');
    if (slash == std::string::npos || path == "/") break;
    path.resize(slash == 0 ? 1 : slash);
  }
  return {};
}

void look_at_file_systems(const ports::worker_job& job, ports::worker_result& out) {
  const auto data = nearest(job.data_dir);
  struct stat st {};
  if (data && ::fstat(data.get(), &st) == 0) out.device = st.st_dev;
  const auto measure = [&](const base::unique_fd& fd, const std::string& dir) {
    if (!fd) return;
    const auto free = free_space(fd.get());
    if (!free) {  // not known, which is not the same as none
      out.failure = free.error().kind;
      out.error = free.error().message;
    } else if (dir.empty() || *free < out.free_bytes) {
      out.free_bytes = *free;
      out.least_free = dir;
    }
  };
  measure(data, {});
  // As unit::watched_dirs.
  for (const auto& dir : job.also) measure(nearest(dir), dir);
  for (const auto& path : volumes_below(job.data_dir, job.mounts)) {
    const auto dir = joined(job.data_dir, path);
    measure(nearest(dir), dir);
  }
}

// But for .hasup, lost+found, and volumes that hold nothing themselves. What cannot be looked into is something.
bool holds_nothing(int root, const std::string& path, const std::vector<std::string>& inside) {
  const auto dir = open_beneath(root, path, O_RDONLY | O_DIRECTORY, mounts::cross);
  const auto names = dir ? list_names(dir->get(), "") : outcome<std::vector<std::string>>(dir.error());
  if (!names) return false;
  const auto is_nothing = [&](const std::string& name) {
    if (name == ".hasup" || name == "lost+found") return true;
    const auto entry = joined(path, name);
    const bool leads_to_one = std::any_of(
        inside.begin(), inside.end(), [&](const std::string& v) { return v == entry || v.starts_with(entry + "/"); });
    return leads_to_one && holds_nothing(root, entry, inside);
  };
  return std::all_of(names->begin(), names->end(), is_nothing);
}

// A file system that is mounted in the place of the one that holds a part of what was swapped.
void look_at_volumes(const ports::worker_job& job, int root, const swap_record& record, ports::worker_result& out) {
  if (record.phase == swap_phase::wiped || !out.mounted) return;
  for (const auto& v : record.volumes) {
    const auto shown = joined(job.data_dir, v.path);
    if (is_volume_of(root, v.path, v.id)) continue;
    out.mounted = false;
    out.unmounted = shown + ", as its recovery knows it,";
    out.other_volume = true;
    return;
  }
}

void look_inside(const ports::worker_job& job, ports::worker_result& out) {
  const base::unique_fd root(::open(job.data_dir.c_str(), open_dir));
  out.data_dir_exists = static_cast<bool>(root);
  if (!root) {
    if (errno == ENOENT || errno == ENOTDIR) {
      out.missing = job.must_exist;
    } else {
      const auto why = base::errno_error("open " + job.data_dir);
      out.failure = ports::worker_failure::internal;
      out.error = why.message;
    }
    return;
  }
  if (const auto names = list_names(root.get(), ""); !names) {
    out.failure = names.error().kind;
    out.error = names.error().message;
    return;
  }
  out.data_dir_empty = holds_nothing(root.get(), "", volumes_below(job.data_dir, job.mounts));
  struct stat st {};
  out.has_own_dir = ::fstatat(root.get(), ".hasup", &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(st.st_mode);
  out.half_swapped = ::fstatat(root.get(), ".hasup/swap.json", &st, AT_SYMLINK_NOFOLLOW) == 0;
  if (out.half_swapped)
    if (const auto record = swap_record_below(root.get())) {
      out.wiped = record->wiped;
      out.swap_phase = swap_phase_names.text(record->phase);
      look_at_volumes(job, root.get(), *record, out);
    }
  for (const auto& name : job.must_exist)
    if (::fstatat(root.get(), name.c_str(), &st, 0) != 0) out.missing.push_back(name);
  if (job.look_for_warm) out.warm = warm_below(root.get());
}

}  // namespace

outcome<std::optional<ports::writer_info>> find_writer(const ports::worker_job& job, const std::string& dir,
                                                       const std::function<void()>& each) {
  const auto excluded = excluded_pids(job);
  if (!dir.empty()) return find_open_writer(file_set({dir}, {}, each), excluded);
  auto holder = find_lock_holder(job, excluded);
  if (!holder || *holder) return holder;
  std::vector<std::string> dirs{job.data_dir};
  dirs.insert(dirs.end(), job.also.begin(), job.also.end());
  if (job.seen_free && ask_for_writers(dirs, own_dirs(job)).who == writing::nobody)
    return std::optional<ports::writer_info>{};
  auto seen = find_open_writer(file_set(dirs, own_dirs(job), each), excluded);
  if (seen || !job.tolerated.empty()) return seen;
  return find_unseen_writer(dirs, own_dirs(job), excluded);
}

std::string describe(const ports::writer_info& writer) {
  return "process " + std::to_string(writer.pid) + " (" + writer.command + ") has " + writer.path +
         " open for writing; stop it first";
}

ports::worker_result inspect(const ports::worker_job& job, const std::function<void()>& each) {
  ports::worker_result out;
  if (job.data_dir.empty() || job.data_dir[0] != '/') {
    out.failure = ports::worker_failure::refused;
    out.error = "the data directory \"" + job.data_dir + "\" is not an absolute path";
    return out;
  }
  out.unmounted = first_unmounted(job.mounts);
  out.mounted = out.unmounted.empty();
  look_at_file_systems(job, out);
  look_inside(job, out);
  if (job.all_writers) {
    std::vector<std::string> dirs{job.data_dir};
    dirs.insert(dirs.end(), job.also.begin(), job.also.end());
    out.writers = find_open_writers(file_set(dirs, own_dirs(job), each), excluded_pids(job));
    if (!out.writers.empty()) out.writer = out.writers.front();
    return out;
  }
  auto writer = find_writer(job, "", each);
  if (!writer) {
    out.failure = writer.error().kind;
    out.error = writer.error().message;
  } else if (*writer) {
    out.failure = ports::worker_failure::writer;
    out.error = describe(**writer);
    out.writer = *writer;
  }
  return out;
}

}  // namespace hasup::snapshot
