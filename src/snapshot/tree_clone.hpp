// A copy of a file or of a directory tree that shares its blocks with what it is of (FICLONE): no data is written,
// and it takes no room until one of the two is changed. To another file system its data is copied, holes left out.
#pragma once

#include <sys/stat.h>

#include <cstdint>
#include <map>
#include <string>

#include "snapshot/disk.hpp"
#include "snapshot/job_control.hpp"

namespace hasup::snapshot {

class tree_clone {
 public:
  enum class data { shared, copied };

  // Roots are descriptors of directories, which outlive it.
  tree_clone(int from_root, int to_root, const disk& d, job_control& control, data how = data::shared)
      : from_root_(from_root), to_root_(to_root), disk_(d), control_(control), how_(how) {}

  // `to` must not be there yet, its parent must. Kept are content, holes, mode, owner, times, user attributes and
  // access lists, links as links, and several names of one file inside of what one tree_clone clones. "" = done; else
  // why it cannot be; a failure (no_space) where there is no room for it. Either way who called removes what there is
  // of it. Not durable before a syncfs.
  outcome<std::string> make(const std::string& from, const std::string& to);
  // Of the files that were cloned, as they count in `ls`; of those that were copied, what was written.
  [[nodiscard]] std::uint64_t bytes() const { return bytes_; }

 private:
  outcome<std::string> make_any(const std::string& from, const std::string& to);
  outcome<std::string> clone_dir(const std::string& from, const std::string& to, const struct stat& was);
  outcome<std::string> clone_file(const std::string& from, const std::string& to, const struct stat& was);
  outcome<std::string> copy_data(const std::string& from, int source, int target, const struct stat& was);
  outcome<std::string> clone_link(const std::string& from, const std::string& to, const struct stat& was);

  int from_root_;
  int to_root_;
  const disk& disk_;
  job_control& control_;
  data how_;
  std::uint64_t device_ = 0;
  std::uint64_t bytes_ = 0;
  std::map<ino_t, std::string> names_;  // of files with several: the first one's place in to_root
};

// The refusal, with what is free on the file system of `dir`.
failure no_room_to_clone(const std::string& what, const std::string& why, int dir);

// Whether files of this directory's file system can be cloned, tried with two that have no name: "" = they can, else
// why not. Nothing: it cannot be tried.
std::optional<std::string> why_no_reflinks(int dir);

}  // namespace hasup::snapshot
