// A data directory whose cache holds an archive, and archives with exactly the entries that a test wants.
#pragma once

#include <archive.h>
#include <archive_entry.h>
#include <fcntl.h>

#include <clocale>
#include <functional>
#include <string>
#include <vector>

#include "snapshot/cache_seal.hpp"
#include "snapshot/unpack/unpack.hpp"
#include "temp_tree.hpp"

namespace hasup::test {

struct entry {
  std::string path;
  std::string text{};
  unsigned type = AE_IFREG;
  std::string link{};  // target of a symbolic link, or with type 0 of a hard link
  unsigned mode = 0644;
};

// A tar file with exactly these entries, however hostile.
inline void make_tar(const std::string& path, const std::vector<entry>& entries) {
  static const bool any_name = std::setlocale(LC_CTYPE, "C.UTF-8") != nullptr;  // as the worker does
  REQUIRE(any_name);
  archive* a = archive_write_new();
  archive_write_set_format_pax_restricted(a);
  REQUIRE(archive_write_open_filename(a, path.c_str()) == ARCHIVE_OK);
  for (const auto& e : entries) {
    archive_entry* h = archive_entry_new();
    archive_entry_set_pathname(h, e.path.c_str());
    archive_entry_set_perm(h, e.mode);
    archive_entry_set_mtime(h, 1'700'000'000, 0);
    if (e.type == 0) {
      archive_entry_set_filetype(h, AE_IFREG);
      archive_entry_set_hardlink(h, e.link.c_str());
    } else {
      archive_entry_set_filetype(h, e.type);
      if (e.type == AE_IFLNK) archive_entry_set_symlink(h, e.link.c_str());
    }
    archive_entry_set_size(h, static_cast<la_int64_t>(e.text.size()));
    REQUIRE(archive_write_header(a, h) == ARCHIVE_OK);
    archive_write_data(a, e.text.data(), e.text.size());
    archive_entry_free(h);
  }
  archive_write_free(a);
}

// A data directory whose cache holds one archive "a.tar", sealed as fetch does it.
class node {
 public:
  explicit node(const std::string& dir = "") : dir_(dir.empty() ? root_ / "node" : dir) {
    fs::create_directories(dir_ + "/.hasup/cache");
    job.data_dir = dir_;
    job.plan.name = "p";
    job.plan.wipe = {"state", "blocks"};
    job.keep = {"keys"};
    use("a.tar");
  }

  void use(const std::string& name, model::unpack_mode mode = model::unpack_mode::archive, const std::string& as = "",
           const std::string& into = "") {
    name_ = name;
    job.plan.archives = {
        {"*", "", model::archive_order::time, mode, as, as.empty() && into.empty() ? "." : into, true}};
    job.chosen = ports::candidate{0, {{name, "http://h/" + name, "http://h/", {}, {}, {}, ""}}};
  }
  std::string cached() const { return dir_ + "/.hasup/cache/" + name_; }
  std::string staged(const std::string& path = "") const { return dir_ + "/.hasup/staging/new/" + path; }
  const std::string& dir() const { return dir_; }

  ports::worker_result unpack() {
    const base::unique_fd own(::open((dir_ + "/.hasup").c_str(), O_RDONLY | O_DIRECTORY));
    const auto info = snapshot::look(own.get(), "cache/" + name_);
    REQUIRE(info.has_value());
    if (*info)
      REQUIRE(snapshot::write_seal(own.get(), snapshot::disk{}, name_,
                                   {"", (*info)->size, (*info)->modified_ns, (*info)->id.inode, "", ""})
                  .has_value());
    snapshot::job_control control("", cancelled);
    return snapshot::unpack(job, control);
  }
  // The archive's bytes, whatever they are.
  ports::worker_result unpack_bytes(const std::string& bytes) {
    put(cached(), bytes);
    return unpack();
  }
  ports::worker_result unpack(const std::vector<entry>& entries) {
    make_tar(cached(), entries);
    return unpack();
  }
  bool is_staged() const { return there(dir_ + "/.hasup/staging/staged.json"); }

  ports::worker_job job;
  std::function<bool()> cancelled;

 private:
  temp_tree root_;
  std::string dir_;
  std::string name_;
};

inline std::uint64_t blocks_of(const std::string& path) {
  struct stat st {};
  REQUIRE(::stat(path.c_str(), &st) == 0);
  return static_cast<std::uint64_t>(st.st_blocks) * 512;
}

}  // namespace hasup::test
