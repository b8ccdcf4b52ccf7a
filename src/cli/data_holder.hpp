// Who keeps a unit from starting by the lock on its data: `hasup snapshot create`, or the shim of another hasup.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "cli/context.hpp"
#include "control/status.hpp"

namespace hasup::cli {

// Pure. The processes that hold a flock on a file, of the text of /proc/locks; who only waits for one is not named.
std::vector<std::int32_t> flock_holders(std::string_view locks, unsigned major, unsigned minor, std::uint64_t inode);

// "…/data is held by `hasup snapshot create leap --to /backup` (pid 123): wait for it, or end it with `kill 123`;
// then `hasup start leap`"; "" = the unit did not fail for that, or the lock is free by now.
std::string data_holder(const context& c, const control::instance_status& unit);

}  // namespace hasup::cli
