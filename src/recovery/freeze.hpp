// What a recovery runs on, taken from the unit and its recipe at the moment it begins, and jobs made of it.
#pragma once

#include "recovery/record.hpp"

namespace hasup::recovery {

frozen freeze(const model::unit& unit, const model::recipe& recipe, std::string why, options asked);

// A worker's job with all that is frozen; the candidate and its plan are left to the caller.
ports::worker_job job_of(const frozen& plan, ports::worker_mode mode);

}  // namespace hasup::recovery
