#include "snapshot/unpack/extractor.hpp"

#include <archive_entry.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "snapshot/unpack/checked_entry.hpp"
#include "snapshot/unpack/entry_path.hpp"

namespace hasup::snapshot {
namespace {

// The owner can always read and write what was restored; nobody else may write it.
mode_t file_mode(unsigned mode) {
  return (mode & 0755U) | 0600U;
}
mode_t dir_mode(unsigned mode) {
  return (mode & 0755U) | 0700U;
}

}  // namespace

extractor::extractor(int dir, std::string name, space_guard& guard, job_control& control,
                     std::function<admission(const std::string&)> admit)
    : dir_(dir), name_(std::move(name)), guard_(guard), control_(control), admit_(std::move(admit)) {
  umask_ = ::umask(022);
  ::umask(umask_);
}

failure extractor::hostile(const std::string& path, const std::string& why) const {
  return hostile_entry(name_, path, why);
}

// Entries that differ only in case are as different as any others where the file system says so, so nothing is asked
// of the names beforehand (as restic and git have it); where it folds them, it refuses the second one itself.
failure extractor::twice(int dir, const std::string& path) const {
  const auto names = list_names(dir, "");
  const bool exactly = !names || std::binary_search(names->begin(), names->end(), name_of(path));
  return hostile(path, exactly
                           ? "is there twice"
                           : "is there twice for this file system, which folds names: another entry differs only in "
                             "case or in characters that cannot be seen; restore it where names are not folded");
}

outcome<void> extractor::extract(archive_reader& reader) {
  while (true) {
    if (control_.cancelled()) return cancelled();
    auto entry = reader.next();
    if (!entry) return entry.error();
    if (*entry == nullptr) return set_dir_modes();
    if (auto done = one(reader, *entry); !done) return done;
    control_.advance(reader.bytes_read());
  }
}

outcome<void> extractor::one(archive_reader& reader, ::archive_entry* entry) {
  using kind = checked_entry::kind;
  const auto checked = check_entry(entry, name_);
  if (!checked) return checked.error();
  if (checked->is == kind::root) return {};
  const auto& path = checked->path;
  if (links_.contains(path)) return hostile(path, "is there twice");
  for (auto up = parent_of(path); !up.empty() && !links_.empty(); up = parent_of(up))
    if (links_.contains(std::string(up))) return hostile(path, "would be written through a link");
  const auto admitted = admit_ ? admit_(path) : admission::yes;
  if (admitted == admission::only_folding_differs)
    return hostile(path, "differs from an entry that is kept only in case or in characters that cannot be seen");
  if (admitted == admission::left_out) return {};
  if (checked->is == kind::hard_link) return make_hard_link(path, checked->target);
  if (checked->is == kind::directory) {
    auto at = parent(path + "/x");
    if (!at) return at.error();
    dir_modes_[path] = archive_entry_perm(entry);
    return {};
  }
  if (checked->is == kind::link) {
    auto at = parent(path);
    if (!at) return at.error();
    struct stat st {};
    if (::fstatat(*at, std::string(name_of(path)).c_str(), &st, AT_SYMLINK_NOFOLLOW) == 0) return twice(*at, path);
    links_[path] = checked->target;
    return {};
  }
  return make_file(reader, entry, path);
}

outcome<int> extractor::parent(const std::string& path) {
  const std::string up(parent_of(path));
  if (parent_fd_ && up == parent_path_) return parent_fd_.get();
  auto opened = open_beneath(dir_, up, O_PATH | O_DIRECTORY);
  if (!opened) {
    if (auto made = disk_.make_parents(dir_, path, 0700); !made)
      return hostile(path, "lies below something that is no directory (" + made.error().message + ")");
    opened = open_beneath(dir_, up, O_PATH | O_DIRECTORY);
    if (!opened) return hostile(path, "lies below something that is no directory");
  }
  parent_fd_ = std::move(*opened);
  parent_path_ = up;
  return parent_fd_.get();
}

outcome<void> extractor::make_file(archive_reader& reader, ::archive_entry* entry, const std::string& path) {
  auto at = parent(path);
  if (!at) return at.error();
  const auto mode = file_mode(archive_entry_perm(entry));
  const base::unique_fd fd(
      ::openat(*at, std::string(name_of(path)).c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode));
  if (!fd && errno == EEXIST) return twice(*at, path);
  if (!fd) return system_failure("create " + path, errno);
  sparse_writer out(fd.get(), guard_, buffer_);
  const auto of_entry = [&](failure f) {
    if (f.kind == ports::worker_failure::bad_snapshot) return hostile(path, f.message);
    f.message = "at entry \"" + path.substr(0, 300) + "\" of " + name_ + ": " + f.message;
    return f;
  };
  while (true) {
    if (control_.cancelled()) return cancelled();
    auto block = reader.next_block();
    if (!block) return block.error();
    if (!*block) break;
    if (auto written = out.write((*block)->data, (*block)->size, (*block)->offset); !written)
      return of_entry(written.error());
    control_.advance(reader.bytes_read());
  }
  const auto size = archive_entry_size_is_set(entry) != 0 ? archive_entry_size(entry) : 0;
  if (auto done = out.finish(static_cast<std::uint64_t>(size)); !done) return of_entry(done.error());
  if ((mode & umask_) != 0 && ::fchmod(fd.get(), mode) != 0) return system_failure("chmod " + path, errno);
  if (archive_entry_mtime_is_set(entry) != 0) {
    timespec times[2] = {{0, UTIME_OMIT}, {archive_entry_mtime(entry), archive_entry_mtime_nsec(entry)}};
    (void)::futimens(fd.get(), times);  // a time that the file system cannot hold is no reason to fail
  }
  return {};
}

outcome<void> extractor::make_hard_link(const std::string& path, const std::string& raw) {
  auto target = clean_entry_path(raw);
  if (!target)
    return hostile(path, "is a hard link to \"" + raw.substr(0, 300) + "\", which " + target.error().message);
  if (admit_ && admit_(*target) != admission::yes)
    return hostile(path, "is a hard link to an entry that is kept and not unpacked");
  auto found = look(dir_, *target);
  if (!found || !*found || !(*found)->is_file())
    return hostile(path, "is a hard link to \"" + *target + "\", which is no file unpacked before it");
  auto at = parent(path);
  if (!at) return at.error();
  auto from = open_beneath(dir_, parent_of(*target), O_PATH | O_DIRECTORY);
  if (!from) return from.error();
  if (::linkat(from->get(), std::string(name_of(*target)).c_str(), *at, std::string(name_of(path)).c_str(), 0) != 0) {
    if (errno == EEXIST) return twice(*at, path);
    return system_failure("link " + path, errno);
  }
  return {};
}

outcome<void> extractor::set_dir_modes() {
  parent_fd_.reset();
  for (auto it = dir_modes_.rbegin(); it != dir_modes_.rend(); ++it) {
    auto fd = open_beneath(dir_, it->first, O_RDONLY | O_DIRECTORY);
    if (!fd) return fd.error();
    if (::fchmod(fd->get(), dir_mode(it->second)) != 0) return system_failure("chmod " + it->first, errno);
  }
  return {};
}

outcome<void> extractor::make_links(const std::string& root) {
  const std::string prefix = root.empty() ? "" : root + "/";
  auto base = open_beneath(dir_, root, O_PATH | O_DIRECTORY);
  if (!base) return base.error();
  for (const auto& [path, target] : links_) {
    if (!path.starts_with(prefix)) continue;
    if (!link_stays_inside(path.substr(prefix.size()), target))
      return hostile(path, "is a link to \"" + target.substr(0, 300) + "\", which leaves the data directory");
    auto at = parent(path);
    if (!at) return at.error();
    if (::symlinkat(target.c_str(), *at, std::string(name_of(path)).c_str()) != 0) {
      if (errno == EEXIST) return twice(*at, path);
      if (errno == ENAMETOOLONG || errno == ENOENT) return hostile(path, "is a link with an impossible target");
      return system_failure("link " + path, errno);
    }
  }
  // Links through links: the kernel follows them all and says whether any leads out.
  for (const auto& [path, target] : links_) {
    if (!path.starts_with(prefix)) continue;
    if (leaves_root(base->get(), path.substr(prefix.size())))
      return hostile(path, "is a link to \"" + target.substr(0, 300) + "\", which leaves the data directory");
  }
  return {};
}

}  // namespace hasup::snapshot
