#include "snapshot/disk.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <memory>

namespace hasup::snapshot {
namespace {

failure here(std::string_view call, std::string_view path, int code) {
  if (code == ELOOP)
    return refusal(std::string(path) + " leads through a symbolic link; replace the link by the directory it means");
  if (code == EXDEV)
    return refusal(std::string(path) +
                   " is or leads through a mount point of its own; name that mount as the data "
                   "directory, or take it out of `wipe`");
  return system_failure(std::string(call) + " " + std::string(path), code);
}

// Without openat2 (ENOSYS, or EPERM from a container's filter): one component at a time, no link followed.
int open_by_steps(int root, const std::string& path, int flags, mounts m) {
  struct stat base {};
  if (::fstat(root, &base) != 0) return -1;
  base::unique_fd at(::openat(root, ".", O_PATH | O_DIRECTORY | O_CLOEXEC));
  std::size_t begin = 0;
  while (at) {
    const auto end = path.find('/', begin);
    const std::string name = path.substr(begin, end == std::string::npos ? end : end - begin);
    const bool last = end == std::string::npos;
    base::unique_fd next(
        ::openat(at.get(), name.c_str(), last ? flags | O_NOFOLLOW : O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (!next) {
      struct stat st {};
      const int code = errno;
      const bool link = ::fstatat(at.get(), name.c_str(), &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISLNK(st.st_mode);
      errno = link ? ELOOP : code;
      return -1;
    }
    struct stat st {};
    if (m == mounts::stay && ::fstat(next.get(), &st) == 0 && st.st_dev != base.st_dev) {
      errno = EXDEV;
      return -1;
    }
    if (last) return next.release();
    at = std::move(next);
    begin = end + 1;
  }
  return -1;
}

int open_raw(int root, std::string_view path, int flags, mounts m) {
  const std::string name = path.empty() ? "." : std::string(path);
  open_how how{};
  how.flags = static_cast<std::uint64_t>(static_cast<unsigned>(flags | O_CLOEXEC));
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS;
  if (m == mounts::stay) how.resolve |= RESOLVE_NO_XDEV;
  long fd = -1;
  do {
    fd = ::syscall(SYS_openat2, root, name.c_str(), &how, sizeof how);
  } while (fd < 0 && (errno == EAGAIN || errno == EINTR));
  if (fd >= 0) return static_cast<int>(fd);
  if (errno != ENOSYS && errno != EPERM) return -1;
  if (path.empty()) return ::openat(root, ".", flags | O_CLOEXEC);
  return open_by_steps(root, name, flags | O_CLOEXEC, m);
}

struct dir_closer {
  void operator()(DIR* d) const { ::closedir(d); }
};

// Reads all names at once: what is deleted meanwhile cannot disturb the reading.
std::optional<std::vector<std::string>> names_of_dir(int dir) {
  const int copy = ::openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (copy < 0) return std::nullopt;
  const std::unique_ptr<DIR, dir_closer> stream(::fdopendir(copy));
  if (!stream) {
    ::close(copy);
    return std::nullopt;
  }
  std::vector<std::string> names;
  errno = 0;
  while (const dirent* e = ::readdir(stream.get())) {
    const std::string_view name = e->d_name;
    if (name != "." && name != "..") names.emplace_back(name);
    errno = 0;
  }
  if (errno != 0) return std::nullopt;
  std::sort(names.begin(), names.end());
  return names;
}

std::optional<entry_info> stat_entry(int dir, const char* name) {
  struct statx st {};
  if (::statx(dir, name, AT_SYMLINK_NOFOLLOW | (*name == '\0' ? AT_EMPTY_PATH : 0), STATX_BASIC_STATS | STATX_BTIME,
              &st) != 0)
    return std::nullopt;
  entry_info out;
  out.id.inode = st.stx_ino;
  if ((st.stx_mask & STATX_BTIME) != 0) out.id = {st.stx_ino, st.stx_btime.tv_sec, st.stx_btime.tv_nsec};
  out.mode = st.stx_mode;
  out.owner = st.stx_uid;
  out.device = (std::uint64_t{st.stx_dev_major} << 32U) | st.stx_dev_minor;
  out.size = st.stx_size;
  out.modified_ns = st.stx_mtime.tv_sec * 1'000'000'000LL + st.stx_mtime.tv_nsec;
  out.mount_root = (st.stx_attributes_mask & st.stx_attributes & STATX_ATTR_MOUNT_ROOT) != 0;
  return out;
}

}  // namespace

bool entry_info::is_directory() const {
  return S_ISDIR(mode);
}
bool entry_info::is_link() const {
  return S_ISLNK(mode);
}
bool entry_info::is_file() const {
  return S_ISREG(mode);
}

bool is_plain_relative(std::string_view path) {
  if (path.empty() || path.size() >= 4096 || path.find('\0') != std::string_view::npos) return false;
  while (true) {
    const auto end = path.find('/');
    const auto part = path.substr(0, end);
    if (part.empty() || part.size() > 255 || part == "." || part == "..") return false;
    if (end == std::string_view::npos) return true;
    path.remove_prefix(end + 1);
  }
}

std::string_view parent_of(std::string_view path) {
  const auto slash = path.rfind('/');
  return slash == std::string_view::npos ? std::string_view{} : path.substr(0, slash);
}

std::string_view name_of(std::string_view path) {
  const auto slash = path.rfind('/');
  return slash == std::string_view::npos ? path : path.substr(slash + 1);
}

std::string joined(std::string_view dir, std::string_view name) {
  if (dir.empty()) return std::string(name);
  return std::string(dir) + "/" + std::string(name);
}

outcome<base::unique_fd> open_beneath(int root, std::string_view path, int flags, mounts m) {
  base::unique_fd fd(open_raw(root, path, flags, m));
  if (!fd) return here("open", path, errno);
  return fd;
}

bool leaves_root(int root, std::string_view path) {
  open_how how{};
  how.flags = O_PATH | O_CLOEXEC;
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS;
  const base::unique_fd fd(
      static_cast<int>(::syscall(SYS_openat2, root, std::string(path).c_str(), &how, sizeof how)));
  // ENOSYS, EPERM: without the kernel's word only links whose text stays inside were let through before.
  return !fd && errno == EXDEV;
}

outcome<std::optional<entry_info>> look(int root, std::string_view path) {
  base::unique_fd dir(open_raw(root, parent_of(path), O_PATH | O_DIRECTORY, mounts::stay));
  if (!dir) {
    if (errno == ENOENT || errno == ENOTDIR) return std::optional<entry_info>{};
    return here("open", parent_of(path), errno);
  }
  auto found = stat_entry(dir.get(), std::string(name_of(path)).c_str());
  if (!found && errno != ENOENT && errno != ENOTDIR) return here("stat", path, errno);
  return found;
}

outcome<std::vector<std::string>> list_names(int root, std::string_view path) {
  auto dir = open_beneath(root, path, O_RDONLY | O_DIRECTORY);
  if (!dir) return dir.error();
  auto names = names_of_dir(dir->get());
  if (!names) return here("list", path, errno);
  return std::move(*names);
}

outcome<std::string> read_text(int root, std::string_view path, std::size_t limit) {
  auto fd = open_beneath(root, path, O_RDONLY | O_NONBLOCK);
  if (!fd) return fd.error();
  std::string text;
  std::string buffer(64U << 10, '\0');
  while (text.size() <= limit) {
    const auto n = ::read(fd->get(), buffer.data(), buffer.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return here("read", path, errno);
    if (n == 0) return text;
    text.append(buffer.data(), static_cast<std::size_t>(n));
  }
  return failure{ports::worker_failure::internal, std::string(path) + " is larger than expected"};
}

outcome<std::uint64_t> free_space(int fd) {
  struct statvfs st {};
  if (::fstatvfs(fd, &st) != 0) return system_failure("statvfs of the data directory", errno);
  return std::uint64_t{st.f_bavail} * st.f_frsize;
}

outcome<void> disk::make_dir(int root, std::string_view path, mode_t mode) const {
  auto dir = open_beneath(root, parent_of(path), O_PATH | O_DIRECTORY);
  if (!dir) return dir.error();
  if (::mkdirat(dir->get(), std::string(name_of(path)).c_str(), mode) != 0 && errno != EEXIST)
    return here("mkdir", path, errno);
  tell("mkdir");
  return {};
}

outcome<void> disk::make_parents(int root, std::string_view path, mode_t mode) const {
  for (auto slash = path.find('/'); slash != std::string_view::npos; slash = path.find('/', slash + 1))
    if (auto made = make_dir(root, path.substr(0, slash), mode); !made) return made;
  return {};
}

outcome<void> disk::rename(int from_root, std::string_view from, int to_root, std::string_view to) const {
  auto source = open_beneath(from_root, parent_of(from), O_PATH | O_DIRECTORY);
  if (!source) return source.error();
  auto target = open_beneath(to_root, parent_of(to), O_PATH | O_DIRECTORY);
  if (!target) return target.error();
  const std::string a(name_of(from));
  const std::string b(name_of(to));
  int code = ::renameat2(source->get(), a.c_str(), target->get(), b.c_str(), RENAME_NOREPLACE) == 0 ? 0 : errno;
  if (code == EINVAL || code == ENOSYS) {
    // A file system without RENAME_NOREPLACE: the data directory's lock is held, so looking first is enough.
    code = stat_entry(target->get(), b.c_str())                                  ? EEXIST
           : ::renameat(source->get(), a.c_str(), target->get(), b.c_str()) == 0 ? 0
                                                                                 : errno;
  }
  if (code == EEXIST) return refusal(std::string(to) + " is in the way and was not there before; move it aside");
  if (code != 0) return here("rename", from, code);
  tell("rename");
  return {};
}

outcome<bool> disk::exchange(int a_root, std::string_view a, int b_root, std::string_view b) const {
  if (!can_exchange_) return false;
  auto first = open_beneath(a_root, parent_of(a), O_PATH | O_DIRECTORY);
  if (!first) return first.error();
  auto second = open_beneath(b_root, parent_of(b), O_PATH | O_DIRECTORY);
  if (!second) return second.error();
  if (::renameat2(first->get(), std::string(name_of(a)).c_str(), second->get(), std::string(name_of(b)).c_str(),
                  RENAME_EXCHANGE) != 0) {
    if (errno == EINVAL || errno == ENOSYS) return false;
    return here("exchange", a, errno);
  }
  tell("exchange");
  return true;
}

outcome<void> disk::remove_file(int root, std::string_view path) const {
  auto dir = open_beneath(root, parent_of(path), O_PATH | O_DIRECTORY);
  if (!dir) return dir.error();
  if (::unlinkat(dir->get(), std::string(name_of(path)).c_str(), 0) != 0 && errno != ENOENT)
    return here("delete", path, errno);
  tell("unlink");
  return {};
}

outcome<bool> disk::remove_if_there(int root, std::string_view path) const {
  auto there = look(root, path);
  if (!there) return there.error();
  if (!*there) return false;
  if (auto removed = remove_file(root, path); !removed) return removed.error();
  return true;
}

outcome<bool> disk::remove_empty_dirs(int root, std::string_view path) const {
  auto found = look(root, path);
  if (!found) return found.error();
  if (!*found) return true;
  if (!(*found)->is_directory()) return false;
  auto names = list_names(root, path);
  if (!names) return names.error();
  bool empty = true;
  for (const auto& name : *names) {
    auto removed = remove_empty_dirs(root, joined(path, name));
    if (!removed) return removed;
    empty = empty && *removed;
  }
  if (!empty) return false;
  auto dir = open_beneath(root, parent_of(path), O_PATH | O_DIRECTORY);
  if (!dir) return dir.error();
  if (::unlinkat(dir->get(), std::string(name_of(path)).c_str(), AT_REMOVEDIR) != 0)
    return here("delete", path, errno);
  tell("rmdir");
  return true;
}

outcome<void> disk::remove_tree(int root, std::string_view path, const std::function<bool()>& stop) const {
  auto dir = open_beneath(root, parent_of(path), O_PATH | O_DIRECTORY);
  if (!dir) return dir.error();
  return remove_entry(dir->get(), std::string(name_of(path)), std::string(path), stop);
}

outcome<void> disk::remove_entry(int dir, const std::string& name, const std::string& shown,
                                 const std::function<bool()>& stop) const {
  if (stop && stop()) return cancelled();
  const auto found = stat_entry(dir, name.c_str());
  if (!found) {
    if (errno == ENOENT) return {};
    return here("stat", shown, errno);
  }
  if (!found->is_directory()) {
    if (::unlinkat(dir, name.c_str(), 0) != 0 && errno != ENOENT) return here("delete", shown, errno);
    tell("unlink");
    return {};
  }
  int code = 0;
  base::unique_fd inside(open_raw(dir, name, O_RDONLY | O_DIRECTORY, mounts::stay));
  if (!inside) code = errno;
  if (!inside && code == EACCES) {
    // An own directory without the owner's bits: fchmodat follows no link here, since it was just seen to be a
    // directory and chmod of a link's target would need the link to be ours as well.
    base::unique_fd handle(open_raw(dir, name, O_PATH | O_DIRECTORY, mounts::stay));
    if (handle && ::chmod(("/proc/self/fd/" + std::to_string(handle.get())).c_str(), 0700) == 0) {
      inside.reset(open_raw(dir, name, O_RDONLY | O_DIRECTORY, mounts::stay));
      code = inside ? 0 : errno;
    }
  }
  if (!inside) return here("open", shown, code);
  for (int round = 0; round < 8; ++round) {
    if (auto removed = remove_children(inside.get(), shown, stop); !removed) return removed;
    if (::unlinkat(dir, name.c_str(), AT_REMOVEDIR) == 0 || errno == ENOENT) {
      tell("rmdir");
      return {};
    }
    if (errno != ENOTEMPTY && errno != EEXIST) return here("delete", shown, errno);
  }
  return here("delete", shown, ENOTEMPTY);
}

outcome<void> disk::remove_children(int dir, const std::string& shown, const std::function<bool()>& stop) const {
  const auto names = names_of_dir(dir);
  if (!names) return here("list", shown, errno);
  struct stat st {};
  if (::fstat(dir, &st) == 0 && (st.st_mode & 0300U) != 0300U) (void)::fchmod(dir, 0700);
  for (const auto& name : *names)
    if (auto removed = remove_entry(dir, name, shown + "/" + name, stop); !removed) return removed;
  return {};
}

outcome<void> disk::sync_dir(int root, std::string_view path) const {
  auto dir = open_beneath(root, path, O_RDONLY | O_DIRECTORY);
  if (!dir) return dir.error();
  if (::fsync(dir->get()) != 0) return here("fsync", path, errno);
  tell("fsync");
  return {};
}

outcome<void> disk::write_durably(int root, std::string_view path, std::string_view text) const {
  const std::string temporary = std::string(path) + ".tmp";
  if (auto removed = remove_file(root, temporary); !removed) return removed;
  auto dir = open_beneath(root, parent_of(path), O_PATH | O_DIRECTORY);
  if (!dir) return dir.error();
  const std::string name(name_of(path));
  base::unique_fd fd(
      ::openat(dir->get(), (name + ".tmp").c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!fd) return here("create", temporary, errno);
  tell("create");
  while (!text.empty()) {
    const auto n = ::write(fd.get(), text.data(), text.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return here("write", temporary, errno);
    text.remove_prefix(static_cast<std::size_t>(n));
    tell("write");
  }
  if (::fsync(fd.get()) != 0) return here("fsync", temporary, errno);
  tell("fsync");
  if (::renameat(dir->get(), (name + ".tmp").c_str(), dir->get(), name.c_str()) != 0)
    return here("rename", temporary, errno);
  tell("rename");
  return sync_dir(root, parent_of(path));
}

}  // namespace hasup::snapshot
