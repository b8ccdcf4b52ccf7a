// From one hasupd to the next in the same process: an exec, over which the lock and the listening socket stay open.
#pragma once

#include <string>

#include "base/unique_fd.hpp"
#include "config/paths.hpp"

namespace hasup::hasupd {

// The path of this program on the disk, where by now another file may have its name.
std::string own_program();

// What a hasupd before this one in the same process has left.
struct inheritance {
  base::unique_fd lock;
  base::unique_fd listening;
  std::string version;  // of that hasupd; "" = there was none
};

// From the environment, which no longer says so afterwards. What is not what it should be is closed and not taken.
inheritance take_inheritance(const config::directories& dirs);

// Does not return, or says why it did: then everything is as before the call.
std::string replace_program(const std::string& program, int lock, int listening);

// For sd_notify's RELOADING=1.
std::string monotonic_microseconds();

}  // namespace hasup::hasupd
