// A directory of its own for one test, gone afterwards, with the little file work that snapshot tests need.
#pragma once

#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <string>

namespace hasup::test {

namespace fs = std::filesystem;

class temp_tree {
 public:
  // in_memory: for tests that repeat themselves hundreds of times with an fsync at each step.
  explicit temp_tree(bool in_memory = false) {
    const bool memory = in_memory && ::access("/dev/shm", W_OK) == 0;
    std::string pattern =
        (memory ? std::string("/dev/shm") : fs::temp_directory_path().string()) + "/hasup-test-XXXXXX";
    REQUIRE(::mkdtemp(pattern.data()) != nullptr);
    path_ = pattern;
  }
  temp_tree(const temp_tree&) = delete;
  temp_tree& operator=(const temp_tree&) = delete;
  ~temp_tree() {
    ::umount2(path_.c_str(), MNT_DETACH);  // of a test that mounted something here and then failed
    std::error_code ignored;
    fs::remove_all(path_, ignored);
  }

  [[nodiscard]] std::string operator/(const std::string& name) const { return path_ + "/" + name; }
  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  std::string path_;
};

inline void put(const std::string& path, const std::string& text) {
  fs::create_directories(fs::path(path).parent_path());
  std::ofstream(path, std::ios::binary) << text;
}

inline std::string get(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

inline bool there(const std::string& path) {
  return fs::symlink_status(path).type() != fs::file_type::not_found;
}

inline std::uint64_t inode(const std::string& path) {
  struct stat st {};
  return ::lstat(path.c_str(), &st) == 0 ? st.st_ino : 0;
}

// Relative path -> "inode content" of everything below dir but .hasup: equal maps are the very same files.
inline std::map<std::string, std::string> picture(const std::string& dir, bool with_inodes = true) {
  std::map<std::string, std::string> out;
  for (auto it = fs::recursive_directory_iterator(dir); it != fs::recursive_directory_iterator(); ++it) {
    if (it->path().filename() == ".hasup") {
      it.disable_recursion_pending();
      continue;
    }
    const auto path = it->path().string();
    auto& text = out[path.substr(dir.size() + 1)];
    if (with_inodes) text = std::to_string(inode(path)) + " ";
    text += it->is_regular_file() && !it->is_symlink() ? get(path) : it->is_directory() ? "dir" : "other";
  }
  return out;
}

// Runs a shell command that must succeed.
inline void run(const std::string& command) {
  INFO(command);
  REQUIRE(std::system(command.c_str()) == 0);
}

}  // namespace hasup::test
