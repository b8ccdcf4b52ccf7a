// Which process may write to files below some directories, read from /proc.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "ports/worker_job.hpp"

namespace hasup::snapshot {

// The files of some directories: told by device and inode as far as the walk went, by path beyond that.
class file_set {
 public:
  // What is in the directories of `without` is none of them. `each` is called for every file, while the walk goes on.
  file_set(const std::vector<std::string>& dirs, const std::vector<std::string>& without,
           const std::function<void()>& each = {});

  [[nodiscard]] bool has_path(std::string_view path) const;
  [[nodiscard]] bool has_file(std::uint64_t device, std::uint64_t inode) const;
  [[nodiscard]] bool has_inode(std::uint64_t inode) const { return inodes_.contains(inode); }
  [[nodiscard]] bool has_device(std::uint64_t device) const { return devices_.contains(device); }

 private:
  void walk(int parent, const std::string& name, const std::function<void()>& each);

  static constexpr std::size_t bound = 500'000;
  std::vector<std::string> roots_;
  std::vector<std::string> without_;
  std::set<std::pair<std::uint64_t, std::uint64_t>> without_files_;  // the same, by device and inode
  std::set<std::pair<std::uint64_t, std::uint64_t>> files_;
  std::set<std::uint64_t> inodes_;
  std::set<std::uint64_t> devices_;
};

// This process and its ancestors.
std::set<std::int32_t> own_line();
// argv joined with spaces, at most 200 bytes; the name in brackets when argv is empty.
std::string command_of(std::int32_t pid);
// All of them, with what else is known of each.
std::vector<ports::writer_info> find_open_writers(const file_set& files, const std::set<std::int32_t>& excluded);
std::optional<ports::writer_info> find_open_writer(const file_set& files, const std::set<std::int32_t>& excluded);

}  // namespace hasup::snapshot
