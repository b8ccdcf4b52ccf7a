#include "snapshot/tree_clone.hpp"

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <cstring>
#include <string_view>
#include <vector>

#include "base/byte_size.hpp"

namespace hasup::snapshot {
namespace {

std::string because(const std::string& path, int code) {
  switch (code) {
    case EOPNOTSUPP:
    case ENOTTY:
    case ENOSYS:
      return "the file system has no reflinks";
    case EXDEV:
      return path + " is on another file system than .hasup";
    default:
      return path + " cannot be cloned: " + std::strerror(code);
  }
}

// A disk that is full is none for the node to go on with: that is no reason to do without clones, but to do nothing.
outcome<std::string> not_cloned(const std::string& path, int code, int to_root) {
  if (code != ENOSPC && code != EDQUOT) return because(path, code);
  return no_room_to_clone(path, code == EDQUOT ? "the quota of its user is used up" : "the disk is full", to_root);
}

outcome<std::string> not_cloned(const std::string& path, const failure& f, int to_root) {
  if (f.kind == ports::worker_failure::no_space) return no_room_to_clone(path, f.message, to_root);
  return f.message;
}

bool is_wanted(std::string_view attribute) {
  return attribute.starts_with("user.") || attribute.starts_with("system.posix_acl_");
}

// 0 or errno. What the file system does not know cannot be there.
int copy_attributes(int from, int to) {
  const auto size = ::flistxattr(from, nullptr, 0);
  if (size < 0) return errno == EOPNOTSUPP || errno == ENOSYS ? 0 : errno;
  if (size == 0) return 0;
  std::string names(static_cast<std::size_t>(size), '\0');
  const auto got = ::flistxattr(from, names.data(), names.size());
  if (got < 0) return errno;
  names.resize(static_cast<std::size_t>(got));
  std::vector<char> value(64U << 10);  // XATTR_SIZE_MAX
  for (std::size_t at = 0; at < names.size();) {
    const std::string name(names.c_str() + at);
    at += name.size() + 1;
    if (!is_wanted(name)) continue;
    const auto n = ::fgetxattr(from, name.c_str(), value.data(), value.size());
    if (n < 0) return errno;
    if (::fsetxattr(to, name.c_str(), value.data(), static_cast<std::size_t>(n), 0) != 0) return errno;
  }
  return 0;
}

// Last of all, since anything else changes the times. 0 or errno.
int copy_looks(int from, int to, const struct stat& was) {
  struct stat is {};
  if (::fstat(to, &is) != 0) return errno;
  if ((is.st_uid != was.st_uid || is.st_gid != was.st_gid) && ::fchown(to, was.st_uid, was.st_gid) != 0) return errno;
  if (::fchmod(to, was.st_mode & 07777U) != 0) return errno;
  if (const int code = copy_attributes(from, to); code != 0) return code;
  const std::array<timespec, 2> times{was.st_atim, was.st_mtim};
  return ::futimens(to, times.data()) == 0 ? 0 : errno;
}

}  // namespace

failure no_room_to_clone(const std::string& what, const std::string& why, int dir) {
  const auto free = free_space(dir);
  return {ports::worker_failure::no_space,
          "there is no room to clone " + what + " aside, for a way back that is exact: " + why +
              (free ? ", " + base::format_byte_size(*free) + " are free" : std::string())};
}

outcome<std::string> tree_clone::make(const std::string& from, const std::string& to) {
  struct stat st {};
  if (::fstat(how_ == data::shared ? to_root_ : from_root_, &st) != 0) return system_failure("stat .hasup", errno);
  device_ = st.st_dev;
  return make_any(from, to);
}

outcome<std::string> tree_clone::make_any(const std::string& from, const std::string& to) {
  if (control_.cancelled()) return cancelled();
  auto dir = open_beneath(from_root_, parent_of(from), O_PATH | O_DIRECTORY);
  if (!dir) return dir.error().message;
  struct stat was {};
  if (::fstatat(dir->get(), std::string(name_of(from)).c_str(), &was, AT_SYMLINK_NOFOLLOW) != 0)
    return not_cloned(from, errno, to_root_);
  if (was.st_dev != device_) return not_cloned(from, EXDEV, to_root_);
  if (S_ISDIR(was.st_mode)) return clone_dir(from, to, was);
  if (S_ISREG(was.st_mode)) return clone_file(from, to, was);
  if (S_ISLNK(was.st_mode)) return clone_link(from, to, was);
  return from + " is neither a file nor a directory nor a link";
}

outcome<std::string> tree_clone::clone_dir(const std::string& from, const std::string& to, const struct stat& was) {
  auto source = open_beneath(from_root_, from, O_RDONLY | O_DIRECTORY);
  if (!source) return source.error().message;  // also where another mount begins
  if (auto made = disk_.make_dir(to_root_, to, 0700); !made) return not_cloned(from, made.error(), to_root_);
  auto names = list_names(from_root_, from);
  if (!names) return names.error().message;
  for (const auto& name : *names) {
    auto why = make_any(joined(from, name), joined(to, name));
    if (!why || !why->empty()) return why;
  }
  auto target = open_beneath(to_root_, to, O_RDONLY | O_DIRECTORY);
  if (!target) return target.error().message;
  if (const int code = copy_looks(source->get(), target->get(), was); code != 0)
    return not_cloned(from, code, to_root_);
  disk_.tell("looks");
  return std::string{};
}

outcome<std::string> tree_clone::clone_file(const std::string& from, const std::string& to, const struct stat& was) {
  auto dir = open_beneath(to_root_, parent_of(to), O_PATH | O_DIRECTORY);
  if (!dir) return dir.error().message;
  const std::string name(name_of(to));
  if (was.st_nlink > 1) {
    const auto [first, is_new] = names_.try_emplace(was.st_ino, to);
    if (!is_new) {
      if (::linkat(to_root_, first->second.c_str(), dir->get(), name.c_str(), 0) != 0)
        return not_cloned(from, errno, to_root_);
      disk_.tell("link");
      return std::string{};
    }
  }
  auto source = open_beneath(from_root_, from, O_RDONLY | O_NONBLOCK | O_NOCTTY);
  if (!source) return source.error().message;
  const base::unique_fd target(
      ::openat(dir->get(), name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!target) return not_cloned(from, errno, to_root_);
  disk_.tell("create");
  if (how_ == data::copied) {
    auto why = copy_data(from, source->get(), target.get(), was);
    if (!why || !why->empty()) return why;
  } else if (::ioctl(target.get(), FICLONE, source->get()) != 0) {
    return not_cloned(from, errno, to_root_);
  }
  disk_.tell("clone");
  if (const int code = copy_looks(source->get(), target.get(), was); code != 0)
    return not_cloned(from, code, to_root_);
  disk_.tell("looks");
  if (how_ == data::shared) bytes_ += static_cast<std::uint64_t>(was.st_size);
  control_.advance(bytes_);
  return std::string{};
}

// A part at a time, so that it can be stopped and tells how far it is. copy_file_range() does not reach every other
// file system.
outcome<std::string> tree_clone::copy_data(const std::string& from, int source, int target, const struct stat& was) {
  std::vector<char> buffer(1U << 20);
  if (::ftruncate(target, was.st_size) != 0) return not_cloned(from, errno, to_root_);
  off_t at = 0;
  off_t end = 0;
  while (at < was.st_size) {
    if (control_.cancelled()) return cancelled();
    if (at >= end) {
      at = ::lseek(source, at, SEEK_DATA);
      if (at < 0 && errno == ENXIO) break;  // a hole to the end
      end = at < 0 ? -1 : ::lseek(source, at, SEEK_HOLE);
      if (end < 0) return not_cloned(from, errno, to_root_);
    }
    const auto n = ::pread(source, buffer.data(), std::min(buffer.size(), static_cast<std::size_t>(end - at)), at);
    if (n < 0) return not_cloned(from, errno, to_root_);
    if (n == 0) return from + " became shorter while it was copied";
    for (ssize_t done = 0; done < n;) {
      const auto w = ::pwrite(target, buffer.data() + done, static_cast<std::size_t>(n - done), at + done);
      if (w < 0) return not_cloned(from, errno, to_root_);
      done += w;
    }
    at += n;
    bytes_ += static_cast<std::uint64_t>(n);
    control_.advance(bytes_);
  }
  return std::string{};
}

outcome<std::string> tree_clone::clone_link(const std::string& from, const std::string& to, const struct stat& was) {
  auto source = open_beneath(from_root_, parent_of(from), O_PATH | O_DIRECTORY);
  if (!source) return source.error().message;
  auto dir = open_beneath(to_root_, parent_of(to), O_PATH | O_DIRECTORY);
  if (!dir) return dir.error().message;
  const std::string name(name_of(to));
  std::array<char, PATH_MAX> text{};
  const auto n = ::readlinkat(source->get(), std::string(name_of(from)).c_str(), text.data(), text.size() - 1);
  if (n < 0) return not_cloned(from, errno, to_root_);
  if (::symlinkat(text.data(), dir->get(), name.c_str()) != 0) return not_cloned(from, errno, to_root_);
  disk_.tell("symlink");
  struct stat is {};
  if (::fstatat(dir->get(), name.c_str(), &is, AT_SYMLINK_NOFOLLOW) != 0) return not_cloned(from, errno, to_root_);
  if ((is.st_uid != was.st_uid || is.st_gid != was.st_gid) &&
      ::fchownat(dir->get(), name.c_str(), was.st_uid, was.st_gid, AT_SYMLINK_NOFOLLOW) != 0)
    return not_cloned(from, errno, to_root_);
  const std::array<timespec, 2> times{was.st_atim, was.st_mtim};
  if (::utimensat(dir->get(), name.c_str(), times.data(), AT_SYMLINK_NOFOLLOW) != 0)
    return not_cloned(from, errno, to_root_);
  disk_.tell("looks");
  return std::string{};
}

std::optional<std::string> why_no_reflinks(int dir) {
  const auto unnamed = [dir] { return base::unique_fd(::openat(dir, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600)); };
  const auto one = unnamed();
  const auto other = unnamed();
  if (!one || !other || ::write(one.get(), "x", 1) != 1) return std::nullopt;
  return ::ioctl(other.get(), FICLONE, one.get()) == 0 ? std::string{} : because("a file of .hasup", errno);
}

}  // namespace hasup::snapshot
