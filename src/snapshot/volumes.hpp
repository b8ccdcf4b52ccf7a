// Entries of a data directory that are file systems of their own. Such an entry cannot be renamed, and nothing can be
// renamed into it from outside, so what a plan replaces of it is its children. Each has a .hasup of its own, for
// renames within it:
//
//   DATA_DIR/.hasup                       DATA_DIR/VOLUME/.hasup
//   staging/new/…, staging/discard/…      the same, for what lies in the volume
//   aside/…                               the same
//   swap.json, lock, cache, …             volume: whose it is, and a random word that says which one it is
//
// Only what data.mount names is one. A volume that is not mounted then is never taken for an empty directory: whoever
// works here refuses, and a start waits. A volume inside of another one is refused.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/unique_fd.hpp"
#include "ports/worker_job.hpp"
#include "snapshot/disk.hpp"
#include "snapshot/wipe_rules.hpp"

namespace hasup::snapshot {

// Those of the mounts that lie below the data directory, relative to it. Pure.
std::vector<std::string> volumes_below(const std::string& data_dir, const std::vector<std::string>& mounts);

// The rules of a plan with the volumes of the job.
outcome<wipe_rules> rules_of(const model::recovery_plan& plan, const ports::worker_job& job);

// Whether the file system at `path` is the one of that id.
bool is_volume_of(int data_root, const std::string& path, const std::string& id);

class volumes {
 public:
  struct volume {
    std::string path;  // relative to the data directory
    base::unique_fd root;
    base::unique_fd own;  // its .hasup, once it was made
    std::string id;  // by which records know it; "" = it was never claimed. Inodes do not tell file systems apart
    std::uint64_t device = 0;
  };

  volumes() = default;
  // One that is not mounted, is behind a link, is another data directory's, or belongs to somebody else than `user`
  // is a refusal. Looks only.
  static outcome<volumes> open(int data_root, const std::string& data_dir, std::vector<std::string> paths,
                               uid_t user);

  // .hasup of each, and in it whose it is; `anew`: with another id, so that an older copy of it is no more taken for
  // it.
  outcome<void> claim(const std::string& data_dir, const disk& d, bool anew = false);

  // The one that `path` is, or lies in; nothing: it lies in the data directory's own file system.
  [[nodiscard]] const volume* of(std::string_view path) const;
  // Where `path` is in place, with the data directory at data_root.
  [[nodiscard]] spot in_place(int data_root, std::string_view path) const;
  // Where it is below `place` ("aside", "staging/new") of the .hasup of its file system; `own` is the data
  // directory's. Needs claim().
  [[nodiscard]] spot in_own(int own, std::string_view place, std::string_view path) const;

  [[nodiscard]] const std::vector<volume>& all() const { return all_; }

 private:
  std::vector<volume> all_;
};

// The path of `path` within the volume; "" = its root.
std::string_view inside(const volumes::volume& v, std::string_view path);

}  // namespace hasup::snapshot
