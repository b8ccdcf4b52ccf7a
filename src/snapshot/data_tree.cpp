#include "snapshot/data_tree.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <thread>

namespace hasup::snapshot {
namespace {

outcome<base::unique_fd> open_data_dir(const std::string& path) {
  if (path.empty() || path[0] != '/') return refusal("the data directory \"" + path + "\" is not an absolute path");
  if (path.find_first_not_of('/') == std::string::npos) return refusal("the data directory must not be /");
  if (::mkdir(path.c_str(), 0755) != 0 && errno != EEXIST)
    return refusal(base::errno_error("the data directory " + path + " cannot be created", errno).message +
                   "; create it and give it to the unit's user");
  base::unique_fd fd(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd) return system_failure("open " + path, errno);
  struct stat st {};
  if (::fstat(fd.get(), &st) != 0) return system_failure("stat " + path, errno);
  if (st.st_uid != ::geteuid())
    return refusal(path + " belongs to user " + std::to_string(st.st_uid) + ", but the unit runs as " +
                   std::to_string(::geteuid()) + "; chown it, or set run.user to its owner");
  return fd;
}

}  // namespace

std::string data_tree::own_path(std::string_view relative) const {
  return path_ + "/.hasup/" + std::string(relative);
}

outcome<data_tree> data_tree::open_unlocked(const std::string& data_dir, const disk& d) {
  data_tree tree;
  tree.path_ = data_dir;
  while (tree.path_.size() > 1 && tree.path_.back() == '/') tree.path_.pop_back();
  auto root = open_data_dir(tree.path_);
  if (!root) return root.error();
  tree.root_ = std::move(*root);

  if (auto made = d.make_dir(tree.root(), ".hasup", 0700); !made) return made.error();
  auto found = look(tree.root(), ".hasup");
  if (!found) return found.error();
  if (!*found || !(*found)->is_directory() || (*found)->owner != ::geteuid())
    return refusal(tree.own_path("") + " is not a directory of the unit's own; move it away");
  auto own = open_beneath(tree.root(), ".hasup", O_RDONLY | O_DIRECTORY);
  if (!own) return own.error();
  tree.own_ = std::move(*own);
  if (::fchmod(tree.own(), 0700) != 0) return system_failure("chmod " + tree.own_path(""), errno);
  return tree;
}

outcome<data_tree> data_tree::open_beside(const std::string& data_dir, const disk& d, base::unique_fd lock) {
  auto tree = open_unlocked(data_dir, d);
  if (tree) tree->lock_ = std::move(lock);
  return tree;
}

outcome<void> data_tree::make_places(const disk& d, bool notes_warm) const {
  for (const auto* dir : {"cache", "staging"})
    if (auto made = d.make_dir(own(), dir, 0700); !made) return made;
  for (const auto& v : volumes_.all())
    if (auto made = d.make_dir(v.own.get(), "staging", 0700); !made) return made;
  return notes_warm ? d.make_dir(own(), "warm", 0700) : outcome<void>();
}

outcome<void> data_tree::open_volumes(std::vector<std::string> paths) {
  auto opened = volumes::open(root(), path_, std::move(paths), ::geteuid());
  if (!opened) return opened.error();
  volumes_ = std::move(*opened);
  return {};
}

bool data_tree::has(const std::string& path) const {
  const auto dir = open_beneath(root(), parent_of(path), O_PATH | O_DIRECTORY, mounts::cross);
  struct stat st {};
  return dir && ::fstatat(dir->get(), std::string(name_of(path)).c_str(), &st, AT_SYMLINK_NOFOLLOW) == 0;
}

std::vector<int> data_tree::owns() const {
  std::vector<int> out{own()};
  for (const auto& v : volumes_.all()) out.push_back(v.own.get());
  return out;
}

outcome<data_tree> data_tree::open_for_work(const std::string& data_dir, const disk& d, const job_control& control) {
  auto opened = open_unlocked(data_dir, d);
  if (!opened) return opened;
  auto& tree = *opened;
  tree.lock_.reset(::openat(tree.own(), "lock", O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!tree.lock_) return system_failure("open " + tree.own_path("lock"), errno);
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  while (::flock(tree.lock_.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK && errno != EINTR) return system_failure("lock " + tree.own_path("lock"), errno);
    if (control.cancelled()) return cancelled();
    if (std::chrono::steady_clock::now() > deadline)
      return refusal("another worker holds " + tree.own_path("lock") + "; wait for it, or stop it");
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  return opened;
}

}  // namespace hasup::snapshot
