// A unit whose command needs a secret.
#pragma once

#include "model/unit.hpp"

namespace hasup::launch_test {

inline model::unit miner() {
  model::unit u;
  u.id.unit = "miner";
  u.run.command = {"/usr/bin/miner", "--key", "${secret:MINER_KEY}"};
  return u;
}

}  // namespace hasup::launch_test
