#include "shim/data_lock.hpp"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>

namespace hasup::shim {

bool data_lock::take(const char* directory) {
  if (count_ == most) return true;
  base::unique_fd fd{open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
  if (!fd) return true;
  if (flock(fd.get(), LOCK_EX | LOCK_NB) != 0) return errno != EWOULDBLOCK;
  held_[count_++] = static_cast<base::unique_fd&&>(fd);
  return true;
}

void data_lock::release() {
  while (count_ > 0) held_[--count_].reset();
}

}  // namespace hasup::shim
