// Unpacks one archive into an empty directory, believing nothing that it says: paths stay below the directory,
// nothing is written through a link, and only files, directories and links that stay inside come out.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "snapshot/disk.hpp"
#include "snapshot/job_control.hpp"
#include "snapshot/unpack/archive_reader.hpp"
#include "snapshot/unpack/checked_entry.hpp"
#include "snapshot/unpack/sparse_writer.hpp"

namespace hasup::snapshot {

class extractor {
 public:
  // `dir` is the empty directory's descriptor; `admit` is asked for clean paths.
  extractor(int dir, std::string name, space_guard& guard, job_control& control,
            std::function<admission(const std::string&)> admit);

  outcome<void> extract(archive_reader& reader);
  // Symbolic links come last, when `root` (a directory in it, "" = itself) is known to be the one that they may not
  // leave. Links outside root are dropped.
  outcome<void> make_links(const std::string& root);

 private:
  outcome<void> one(archive_reader& reader, ::archive_entry* entry);
  outcome<void> make_file(archive_reader& reader, ::archive_entry* entry, const std::string& path);
  outcome<void> make_hard_link(const std::string& path, const std::string& raw_target);
  outcome<void> set_dir_modes();
  // The parent directory of path, made where it is missing.
  outcome<int> parent(const std::string& path);
  failure hostile(const std::string& path, const std::string& why) const;
  // What is said when something is at `path` already, in its open directory.
  failure twice(int dir, const std::string& path) const;

  int dir_;
  std::string name_;
  space_guard& guard_;
  job_control& control_;
  std::function<admission(const std::string&)> admit_;
  disk disk_;
  mode_t umask_ = 0;
  std::vector<char> buffer_;
  std::map<std::string, std::string> links_;   // path -> target
  std::map<std::string, unsigned> dir_modes_;  // set last: a read-only directory could not be filled
  std::string parent_path_;
  base::unique_fd parent_fd_;
};

}  // namespace hasup::snapshot
