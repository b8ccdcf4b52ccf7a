// The exit codes of `hasup`; scripts rely on them.
#pragma once

namespace hasup {

enum class exit_code : int {
  done = 0,
  failed = 1,       // the command was understood and did not succeed
  usage = 2,        // the command line is wrong
  not_healthy = 3,  // status: a named unit is not running or not healthy (completed is fine)
  no_such_unit = 4,
  daemon_unreachable = 5,
  invalid_configuration = 6,
  permission_denied = 7,
};

}  // namespace hasup
