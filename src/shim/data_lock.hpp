// A lock on the data directories themselves, held while a process tree runs on them: a node of another hasup home, or
// one that reaches the directory by another path, is refused. It goes by the directory's inode (flock), leaves
// nothing in the directory, and falls with the shim; the shim that takes the node over takes it again.
#pragma once

#include <stddef.h>

#include "base/unique_fd.hpp"

namespace hasup::shim {

class data_lock {
 public:
  static constexpr size_t most = 16;

  // False when another process holds it. A directory that is not there, or on a file system that knows no such lock,
  // is no obstacle.
  bool take(const char* directory);
  void release();

 private:
  base::unique_fd held_[most];
  size_t count_ = 0;
};

}  // namespace hasup::shim
