// File system access below a directory descriptor: never through a link, never upwards, never into another mount
// unless said so. Each changing call is one system call, announced to an observer afterwards, so that tests can stop
// there.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/unique_fd.hpp"
#include "snapshot/outcome.hpp"

namespace hasup::snapshot {

// Which file it is, whatever its name. The birth time tells a reused inode number from the old file (0: unknown).
struct identity {
  std::uint64_t inode = 0;
  std::int64_t born_s = 0;
  std::uint32_t born_ns = 0;

  friend bool operator==(const identity&, const identity&) = default;
};

struct entry_info {
  identity id;
  mode_t mode = 0;
  uid_t owner = 0;
  std::uint64_t device = 0;
  std::uint64_t size = 0;
  std::int64_t modified_ns = 0;
  bool mount_root = false;

  [[nodiscard]] bool is_directory() const;
  [[nodiscard]] bool is_link() const;
  [[nodiscard]] bool is_file() const;
};

enum class mounts { stay, cross };

// A place: `path` relative to the directory descriptor `root`, "" = that directory itself.
struct spot {
  int root = -1;
  std::string path;
};

// "a/b" with neither "", ".", ".." nor empty components; at most 4096 bytes, 255 a component.
bool is_plain_relative(std::string_view path);
std::string_view parent_of(std::string_view path);  // "" = the root itself
std::string_view name_of(std::string_view path);
std::string joined(std::string_view dir, std::string_view name);

// `path` is relative to root, "" = root itself.
outcome<base::unique_fd> open_beneath(int root, std::string_view path, int flags, mounts m = mounts::stay);
// Whether following `path`, a symbolic link below root, ends outside of root. A link to nothing does not.
bool leaves_root(int root, std::string_view path);
// Not there is an empty optional; a link on the way is a failure.
outcome<std::optional<entry_info>> look(int root, std::string_view path);
inline outcome<std::optional<entry_info>> look(const spot& at) {
  return look(at.root, at.path);
}
// Names of a directory without "." and "..", sorted.
outcome<std::vector<std::string>> list_names(int root, std::string_view path);
inline outcome<std::vector<std::string>> list_names(const spot& at) {
  return list_names(at.root, at.path);
}
outcome<std::string> read_text(int root, std::string_view path, std::size_t limit = 64U << 20);
// Bytes that an ordinary user may still write on the file system of `fd`.
outcome<std::uint64_t> free_space(int fd);

class disk {
 public:
  using observer = std::function<void(std::string_view)>;
  disk() = default;
  // `can_exchange = false` behaves like a file system without RENAME_EXCHANGE.
  explicit disk(observer after, bool can_exchange = true) : after_(std::move(after)), can_exchange_(can_exchange) {}

  outcome<void> make_dir(int root, std::string_view path, mode_t mode) const;  // there already: fine
  outcome<void> make_parents(int root, std::string_view path, mode_t mode) const;
  outcome<void> rename(int from_root, std::string_view from, int to_root,
                       std::string_view to) const;  // never replaces
  // False when the file system cannot exchange.
  outcome<bool> exchange(int a_root, std::string_view a, int b_root, std::string_view b) const;
  outcome<void> rename(const spot& from, const spot& to) const {
    return rename(from.root, from.path, to.root, to.path);
  }
  outcome<bool> exchange(const spot& a, const spot& b) const { return exchange(a.root, a.path, b.root, b.path); }
  outcome<void> make_parents(const spot& at, mode_t mode) const { return make_parents(at.root, at.path, mode); }
  outcome<void> sync_dir(const spot& at) const { return sync_dir(at.root, at.path); }
  outcome<void> remove_file(int root, std::string_view path) const;  // not there: fine
  // Its directory need not be there either. Was it?
  outcome<bool> remove_if_there(int root, std::string_view path) const;
  // Empty directories below and including path; anything else is left, and then false comes back.
  outcome<bool> remove_empty_dirs(int root, std::string_view path) const;
  // Everything below and including path; never into another mount. Not there: fine. `stop` is asked in between.
  outcome<void> remove_tree(int root, std::string_view path, const std::function<bool()>& stop = {}) const;
  outcome<void> sync_dir(int root, std::string_view path) const;
  // Temporary file, fsync, rename, fsync of the directory: there as a whole or as before.
  outcome<void> write_durably(int root, std::string_view path, std::string_view text) const;

  // For who makes changing calls of its own (tree_clone.hpp): after each of them.
  void tell(std::string_view call) const {
    if (after_) after_(call);
  }

 private:
  outcome<void> remove_children(int dir, const std::string& shown, const std::function<bool()>& stop) const;
  outcome<void> remove_entry(int dir, const std::string& name, const std::string& shown,
                             const std::function<bool()>& stop) const;

  observer after_;
  bool can_exchange_ = true;
};

}  // namespace hasup::snapshot
