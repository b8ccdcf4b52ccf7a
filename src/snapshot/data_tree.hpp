// A data directory opened for work: its descriptor, .hasup/ in it, and the lock that admits one worker at a time.
#pragma once

#include <string>

#include "base/unique_fd.hpp"
#include "snapshot/disk.hpp"
#include "snapshot/job_control.hpp"

namespace hasup::snapshot {

class data_tree {
 public:
  // Creates data_dir (its parent must exist) and .hasup/ where they are missing, checks that both are ours and not
  // links, and takes .hasup/lock: waits up to 10 s for another worker that is just ending, then refuses.
  static outcome<data_tree> open_for_work(const std::string& data_dir, const disk& d, const job_control& control);

  // The same for who works beside the one that has the lock, which it shares.
  static outcome<data_tree> open_beside(const std::string& data_dir, const disk& d, base::unique_fd lock);

  // cache/ and staging/, where they are missing: what a worker may write is told to the kernel before it works, and
  // of what is not there yet nothing can be told. `notes_warm`: warm/ too.
  [[nodiscard]] outcome<void> make_places(const disk& d, bool notes_warm) const;

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
};

}  // namespace hasup::snapshot
