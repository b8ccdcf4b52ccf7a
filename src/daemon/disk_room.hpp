// What is left on the file system of a directory. It waits for that file system, which may hang: never on the loop.
#pragma once

#include <string>

#include "base/result.hpp"
#include "unit/space_guard.hpp"

namespace hasup::daemon {

base::result<unit::room_left> room_under(const std::string& dir);

}  // namespace hasup::daemon
