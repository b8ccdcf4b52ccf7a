// hasupd --self-check: could this program take over from the hasupd that runs? Reads only.
#pragma once

#include <string>

#include "config/paths.hpp"

namespace hasup::hasupd {

// Says so on standard output and gives 0, or says on standard error what is in the way. A broken unit file is none:
// it is left as it is, and what runs of it runs on.
int self_check(const config::directories& dirs, const std::string& program);

}  // namespace hasup::hasupd
