// The shim's memory beyond its own death: keeps the mapped record page and beside it where the log goes.
#pragma once

#include "process/shim_record.hpp"
#include "shim/claim.hpp"

namespace hasup::shim {

// Where the lines of a unit go. Kept in the record's file too: a shim that takes over a node must know it.
inline constexpr size_t max_log_path = 3072;

struct log_target {
  const char* path = "";   // shorter than max_log_path; "" = no log file
  uint64_t max_size = 0;   // 0: never rotated
  uint32_t max_files = 0;  // beside the current one
  uint32_t daily = 0;      // 1: rotated also when a day begins
};

inline constexpr size_t max_cgroup_path = 512;

class record_page {
 public:
  // Maps the page and reads what a former shim left in it. False with errno: there is no room or no permission.
  bool open(const places& p, const char* name);
  // Durable against the death of any process once it returns; no system call.
  void save();

  // What save() writes; after open() that of the former shim.
  process::shim_record now;

  // The path that is given out points into the page.
  bool load_log_target(log_target& out) const;
  void save_log_target(const log_target& target);
  // Empty: the node runs in none. Points into the page.
  [[nodiscard]] const char* load_cgroup() const;
  void save_cgroup(const char* path);

 private:
  base::unique_fd file_;
  void* page_ = nullptr;
  uint64_t sequence_ = 0;
};

}  // namespace hasup::shim
