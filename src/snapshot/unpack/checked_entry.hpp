// One entry of an archive, as far as it can be judged by itself: its path is clean, and it is of a kind that may come
// out.
#pragma once

#include <string>

#include "snapshot/outcome.hpp"

struct archive_entry;

namespace hasup::snapshot {

struct checked_entry {
  enum class kind { root, file, directory, link, hard_link };
  kind is = kind::file;
  std::string path;    // clean, see entry_path.hpp
  std::string target;  // of links, as the archive has it
};

// Whether an entry may come out.
enum class admission {
  yes,
  left_out,              // it stays in the archive
  only_folding_differs,  // from what is kept: on a file system that folds names it would be that
};

// `bad_snapshot` names the entry and what is wrong with it.
outcome<checked_entry> check_entry(::archive_entry* entry, const std::string& archive);

// "ARCHIVE: entry "PATH" WHY"
failure hostile_entry(const std::string& archive, const std::string& path, const std::string& why);

}  // namespace hasup::snapshot
