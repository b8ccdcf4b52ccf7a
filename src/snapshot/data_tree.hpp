// A data directory opened for work: its descriptor, .hasup/ in it, and the lock that admits one worker at a time.
#pragma once

#include <string>
#include <vector>

#include "base/unique_fd.hpp"
#include "snapshot/disk.hpp"
#include "snapshot/job_control.hpp"
#include "snapshot/volumes.hpp"

namespace hasup::snapshot {

class data_tree {
 public:
  // Creates data_dir (its parent must exist) and .hasup/ where they are missing, checks that both are ours and not
  // links, and takes .hasup/lock: waits up to 10 s for another worker that is just ending, then refuses.
  static outcome<data_tree> open_for_work(const std::string& data_dir, const disk& d, const job_control& control);

  // The same for who works beside the one that has the lock, which it shares.
  static outcome<data_tree> open_beside(const std::string& data_dir, const disk& d, base::unique_fd lock);

  // cache/ and staging/, and the volumes' staging/, where they are missing: what a worker may write is told to the
  // kernel before it works, and of what is not there yet nothing can be told. `notes_warm`: warm/ too.
  [[nodiscard]] outcome<void> make_places(const disk& d, bool notes_warm) const;

  // From then on what lies in these entries is at spots of their own, once they are claimed.
  outcome<void> open_volumes(std::vector<std::string> paths);
  outcome<void> claim_volumes(const disk& d, bool anew = false) { return volumes_.claim(path_, d, anew); }
  [[nodiscard]] const volumes& mounted() const { return volumes_; }
  // Whether that entry of the data directory is there, as far as can be seen; in a volume, too.
  [[nodiscard]] bool has(const std::string& path) const;
  // Where an entry of the data directory is, and where its like is in .hasup of its file system.
  [[nodiscard]] spot in_place(std::string_view path) const { return volumes_.in_place(root(), path); }
  [[nodiscard]] spot aside(std::string_view path) const { return volumes_.in_own(own(), "aside", path); }
  [[nodiscard]] spot staged(std::string_view path) const { return volumes_.in_own(own(), "staging/new", path); }
  // .hasup itself, and of each volume.
  [[nodiscard]] std::vector<int> owns() const;

  [[nodiscard]] int lock() const { return lock_.get(); }
  [[nodiscard]] int root() const { return root_.get(); }  // DATA_DIR
  [[nodiscard]] int own() const { return own_.get(); }    // DATA_DIR/.hasup
  [[nodiscard]] const std::string& path() const { return path_; }
  [[nodiscard]] std::string own_path(std::string_view relative) const;

 private:
  static outcome<data_tree> open_unlocked(const std::string& data_dir, const disk& d);

  std::string path_;
  base::unique_fd root_;
  base::unique_fd own_;
  base::unique_fd lock_;
  volumes volumes_;
};

}  // namespace hasup::snapshot
