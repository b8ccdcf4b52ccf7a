// What is fetched before it is needed, and whether a recovery may use it. Pure.
//
//   look (measure, select) -> plan_prefetch -> fetch into the cache, unpacked beside -> warm.json
//   a recovery: inspect -> usable -> fetch (finds the cache) -> unpack (finds it unpacked) -> swap
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "recovery/event.hpp"
#include "recovery/record.hpp"

namespace hasup::recovery {

// The candidates of `warm` that a recovery by this plan may take without asking a source; else why none of them.
base::result<std::vector<ports::candidate>> usable(const ports::warm_set& warm, const frozen& plan,
                                                   const memory& remembered, base::wall_time now);

// What a look at the sources leads to.
struct prefetch_plan {
  enum class kind {
    nothing,  // what is there stays
    drop,     // what is there is of no use any more
    fetch,
    unpack,  // what is here, and was not, or a recovery has used
  };
  kind what = kind::nothing;
  std::string why;          // for a person
  bool is_problem = false;  // there is nothing to recover from at once, and `why` says what could be done
  ports::worker_job job;    // fetch, unpack
};

// `have` as a measuring found it with `room`; `candidates` as a selecting gave them. `max_size`: bytes that the
// archives and what comes out of them may take; 0 = as much as leaves data.min_free, and a quarter more, free.
prefetch_plan plan_prefetch(const frozen& plan, const memory& remembered, const std::optional<ports::warm_set>& have,
                            const ports::room_found& room, const std::vector<ports::candidate>& candidates,
                            std::uint64_t max_size, base::wall_time now);

}  // namespace hasup::recovery
