#include "snapshot/mount_point.hpp"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>

namespace hasup::snapshot {

bool is_mount_point(const std::string& path) {
  struct statx here {};
  if (::statx(AT_FDCWD, path.c_str(), AT_SYMLINK_NOFOLLOW, STATX_BASIC_STATS, &here) != 0) return false;
  if ((here.stx_attributes_mask & STATX_ATTR_MOUNT_ROOT) != 0)
    return (here.stx_attributes & STATX_ATTR_MOUNT_ROOT) != 0;
  struct stat st {};
  struct stat above {};
  return ::stat(path.c_str(), &st) == 0 && ::stat((path + "/..").c_str(), &above) == 0 &&
         (st.st_dev != above.st_dev || st.st_ino == above.st_ino);
}

std::string first_unmounted(const std::vector<std::string>& paths) {
  const auto none = std::find_if_not(paths.begin(), paths.end(), is_mount_point);
  return none == paths.end() ? std::string() : *none;
}

}  // namespace hasup::snapshot
