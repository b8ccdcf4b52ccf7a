// Records what is renamed, made and deleted in directories, and takes any part of it back that no fsync made durable:
// as after a power loss. Nothing is deleted for good meanwhile, so that it comes back with the very same inodes.
#pragma once

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <cerrno>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/unique_fd.hpp"

namespace hasup::test {

inline long rename_now(int from_dir, const char* from, int to_dir, const char* to, unsigned flags) {
  return ::syscall(SYS_renameat2, from_dir, from, to_dir, to, flags);
}

// A directory, on whichever file system.
struct directory {
  dev_t device = 0;
  ino_t inode = 0;
  static directory of(const struct stat& st) { return {st.st_dev, st.st_ino}; }
  friend auto operator<=>(const directory&, const directory&) = default;
};

// A directory entry; which file it names changes.
struct spot {
  directory dir;
  std::string name;
  friend auto operator<=>(const spot&, const spot&) = default;
};

struct change {
  enum class kind { rename, exchange, make, remove };
  kind is = kind::rename;
  std::shared_ptr<base::unique_fd> from_dir, to_dir;
  std::string from, to;
  int kept = -1;                       // what it took away, by its number
  std::set<spot> spots;                // that it changed
  std::set<directory> dirs;            // in which they are
  std::optional<directory> whole_dir;  // that it made or removed
  bool durable = false;

  // Could this be on the disk without the one before it?
  [[nodiscard]] bool needs(const change& before) const {
    const bool same =
        std::any_of(spots.begin(), spots.end(), [&](const auto& x) { return before.spots.contains(x); });
    return same || (before.whole_dir && dirs.contains(*before.whole_dir)) ||
           (whole_dir && before.dirs.contains(*whole_dir));
  }
};

class recorder {
 public:
  // `keep`: a directory on each file system that is changed.
  explicit recorder(const std::vector<std::string>& keep) {
    for (const auto& path : keep) {
      struct stat st {};
      base::unique_fd fd(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
      REQUIRE(::fstat(fd.get(), &st) == 0);
      keep_.emplace(st.st_dev, std::move(fd));
    }
    current = this;
  }
  recorder(const recorder&) = delete;
  recorder& operator=(const recorder&) = delete;
  ~recorder() { stop(); }
  void stop() {
    if (current == this) current = nullptr;
  }

  int rename(int from_dir, const char* from, int to_dir, const char* to, unsigned flags) {
    const bool exchange = (flags & RENAME_EXCHANGE) != 0;
    auto c = at(exchange ? change::kind::exchange : change::kind::rename, from_dir, from);
    add(c, to_dir, to);
    c.to_dir = copy(to_dir);
    c.to = to;
    if (!exchange && flags == 0 && exists(to_dir, to)) {
      c.kept = keep(to_dir, to);
      if (c.kept < 0) return -1;
    }
    if (rename_now(from_dir, from, to_dir, to, flags) != 0) return -1;
    all_.push_back(std::move(c));
    return 0;
  }
  int remove(int dir, const char* name, bool is_dir) {
    struct stat st {};
    if (::fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) != 0) return -1;
    if (is_dir != S_ISDIR(st.st_mode)) {
      errno = is_dir ? ENOTDIR : EISDIR;
      return -1;
    }
    if (is_dir && !is_empty(dir, name)) {
      errno = ENOTEMPTY;
      return -1;
    }
    auto c = at(change::kind::remove, dir, name);
    if (is_dir) c.whole_dir = directory::of(st);
    c.kept = keep(dir, name);
    if (c.kept < 0) return -1;
    all_.push_back(std::move(c));
    return 0;
  }
  void made(int dir, const char* name) {
    auto c = at(change::kind::make, dir, name);
    struct stat st {};
    if (::fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(st.st_mode)) c.whole_dir = directory::of(st);
    all_.push_back(std::move(c));
  }
  // Of a directory: all that was done in it, and what that could not be without.
  void synced(int fd) {
    struct stat st {};
    if (::fstat(fd, &st) != 0 || !S_ISDIR(st.st_mode)) return;
    for (std::size_t i = all_.size(); i-- > 0;)
      if (all_[i].dirs.contains(directory::of(st))) all_[i].durable = true;
    for (std::size_t i = all_.size(); i-- > 0;)
      for (std::size_t k = 0; all_[i].durable && k < i; ++k)
        if (all_[i].needs(all_[k])) all_[k].durable = true;
  }
  // Of anything on a file system: all that was done on it.
  void all_synced(int fd) {
    struct stat st {};
    if (::fstat(fd, &st) != 0) return;
    for (auto& c : all_)
      if (c.dirs.begin()->device == st.st_dev) c.durable = true;
  }

  [[nodiscard]] std::vector<std::size_t> at_risk() const {
    std::vector<std::size_t> out;
    for (std::size_t i = 0; i < all_.size(); ++i)
      if (!all_[i].durable) out.push_back(i);
    return out;
  }
  // These, and what cannot be without them.
  std::size_t lose(const std::set<std::size_t>& some) {
    std::set<std::size_t> lost = some;
    for (std::size_t i = 0; i < all_.size(); ++i)
      for (const auto k : lost)
        if (k < i && all_[i].needs(all_[k])) {
          REQUIRE_FALSE(all_[i].durable);
          lost.insert(i);
          break;
        }
    for (auto i = lost.rbegin(); i != lost.rend(); ++i) take_back(all_[*i]);
    return lost.size();
  }

  static inline recorder* current = nullptr;

 private:
  static std::shared_ptr<base::unique_fd> copy(int dir) {
    return std::make_shared<base::unique_fd>(::fcntl(dir, F_DUPFD_CLOEXEC, 0));
  }
  static bool exists(int dir, const char* name) {
    struct stat st {};
    return ::fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0;
  }
  static bool is_empty(int dir, const char* name) {
    const int fd = ::openat(dir, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR* stream = ::fdopendir(fd);
    std::size_t names = 0;
    while (::readdir(stream) != nullptr) ++names;
    ::closedir(stream);
    return names == 2;
  }
  static void add(change& c, int dir, const char* name) {
    struct stat st {};
    ::fstat(dir, &st);
    c.dirs.insert(directory::of(st));
    c.spots.insert({directory::of(st), name});
  }
  static change at(change::kind is, int dir, const char* name) {
    change c;
    c.is = is;
    c.from_dir = copy(dir);
    c.from = name;
    add(c, dir, name);
    return c;
  }
  int kept_of(int dir) {
    struct stat st {};
    const auto found = ::fstat(dir, &st) == 0 ? keep_.find(st.st_dev) : keep_.end();
    REQUIRE(found != keep_.end());
    return found->second.get();
  }
  int keep(int dir, const char* name) {
    return rename_now(dir, name, kept_of(dir), std::to_string(++kept_).c_str(), 0) == 0 ? kept_ : -1;
  }
  void take_back(const change& c) {
    const auto again = [&](const base::unique_fd& dir, const std::string& name) {
      REQUIRE(rename_now(kept_of(dir.get()), std::to_string(c.kept).c_str(), dir.get(), name.c_str(),
                         RENAME_NOREPLACE) == 0);
    };
    switch (c.is) {
      case change::kind::rename:
        REQUIRE(rename_now(c.to_dir->get(), c.to.c_str(), c.from_dir->get(), c.from.c_str(), RENAME_NOREPLACE) == 0);
        if (c.kept >= 0) again(*c.to_dir, c.to);
        return;
      case change::kind::exchange:
        REQUIRE(rename_now(c.to_dir->get(), c.to.c_str(), c.from_dir->get(), c.from.c_str(), RENAME_EXCHANGE) == 0);
        return;
      case change::kind::make:
        REQUIRE(keep(c.from_dir->get(), c.from.c_str()) >= 0);
        return;
      case change::kind::remove:
        again(*c.from_dir, c.from);
        return;
    }
  }

  std::map<dev_t, base::unique_fd> keep_;
  int kept_ = 0;
  std::vector<change> all_;
};

}  // namespace hasup::test
