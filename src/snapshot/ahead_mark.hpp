// DATA_DIR/.hasup/staging/ahead.json: what lies in staging/ahead was unpacked while it came, is on the disk, and is
// exactly what unpacking those archives for that job gives. Written last and durably, removed first and durably.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "ports/worker_job.hpp"
#include "snapshot/disk.hpp"

namespace hasup::snapshot {

struct ahead_mark {
  // As its seal in the cache says.
  struct archive {
    std::string name;
    std::string sha256;
    std::uint64_t size = 0;
    std::uint64_t inode = 0;

    friend bool operator==(const archive&, const archive&) = default;
  };
  std::string job;  // key_of
  std::vector<archive> archives;
  std::map<std::string, bool> in_data;  // entries of the data directory that were asked for: whether they were there
  std::map<std::string, std::string> archive_paths;
  std::vector<std::string> notes;
  std::uint64_t bytes = 0;

  friend bool operator==(const ahead_mark&, const ahead_mark&) = default;
};

// All of a job that decides what comes out of its archives, and where.
std::string key_of(const ports::worker_job& job);

// Nothing when there is none, or it cannot be read.
outcome<std::optional<ahead_mark>> read_ahead_mark(int own);
outcome<void> write_ahead_mark(int own, const disk& d, const ahead_mark& m);
outcome<void> remove_ahead_mark(int own, const disk& d);
// The mark and all that was unpacked; there is none: fine.
outcome<void> remove_ahead(int own, const disk& d, const std::function<bool()>& stop = {});

}  // namespace hasup::snapshot
