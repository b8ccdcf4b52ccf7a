// start --adopt: which of the processes that have a unit's data open is the one to take over? Pure.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "model/unit.hpp"
#include "ports/worker_job.hpp"
#include "process/account.hpp"

namespace hasup::daemon {

struct outsider {
  std::int32_t pid = 0;
  std::uint64_t start_time = 0;
  std::string command;

  friend bool operator==(const outsider&, const outsider&) = default;
};

// The one that all the others descend from. Refused, with what to do instead: none, several that are not one tree,
// one under a hasup, one of another user than `as`.
base::result<outsider> choose_outsider(const std::vector<ports::writer_info>& writers, const model::unit& unit,
                                       const process::account& as);

}  // namespace hasup::daemon
