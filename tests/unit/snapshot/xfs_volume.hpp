// A file system with reflinks of a test's own: xfs in a file in memory, so that an fsync costs nothing.
#pragma once

#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>

#include "temp_tree.hpp"

namespace hasup::test {

class xfs_volume {
 public:
  // Nothing, with a warning, where none can be made: not root, no loop devices, no xfsprogs.
  static std::unique_ptr<xfs_volume> make() {
    std::unique_ptr<xfs_volume> made(new xfs_volume);
    if (made->mounted_) return made;
    WARN("skipped: no xfs can be mounted here (it takes root, loop devices and xfsprogs)");
    return nullptr;
  }
  xfs_volume(const xfs_volume&) = delete;
  xfs_volume& operator=(const xfs_volume&) = delete;
  ~xfs_volume() {
    if (mounted_) ::umount2(path().c_str(), MNT_DETACH);
  }
  [[nodiscard]] std::string path() const { return below_ / "mount"; }

 private:
  xfs_volume() : below_(true) {
    fs::create_directory(path());
    const auto image = below_ / "image";
    const auto command = "truncate -s 320M " + image + " && mkfs.xfs -q -m reflink=1 " + image +
                         " && mount -o loop " + image + " " + path();
    mounted_ = ::geteuid() == 0 && std::system(("{ " + command + "; } >/dev/null 2>&1").c_str()) == 0;
  }

  temp_tree below_;
  bool mounted_ = false;
};

}  // namespace hasup::test
