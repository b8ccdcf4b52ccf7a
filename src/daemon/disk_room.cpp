#include "daemon/disk_room.hpp"

#include <sys/stat.h>
#include <sys/statvfs.h>

namespace hasup::daemon {

base::result<unit::room_left> room_under(const std::string& dir) {
  struct statvfs v {};
  struct stat st {};
  if (::statvfs(dir.c_str(), &v) != 0 || ::stat(dir.c_str(), &st) != 0) return base::errno_error(dir);
  const std::uint64_t block = v.f_frsize;
  return unit::room_left{v.f_bavail * block, v.f_blocks * block, v.f_favail, v.f_files, st.st_dev};
}

}  // namespace hasup::daemon
