// How fast a unit's archives were fetched and unpacked last, in a recovery or beforehand, and how long the next one
// would take by that. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/duration.hpp"
#include "ports/worker_job.hpp"
#include "recovery/space_plan.hpp"

namespace hasup::recovery {

struct pace {
  std::uint64_t bytes = 0;  // of archives: those that came, or that were unpacked
  base::duration took{0};   // never 0
  base::wall_time at;       // when it was measured
  bool unpacked = false;    // of a fetch: all that came was unpacked meanwhile

  friend bool operator==(const pace&, const pace&) = default;
};

struct paces {
  std::optional<pace> fetch, unpack;

  friend bool operator==(const paces&, const paces&) = default;
};

// Less than this is mostly the beginning and the end of a job, and says nothing of the bytes.
inline constexpr std::uint64_t least_measured = std::uint64_t{1} << 20U;

// What a job that has ended well has shown; of another mode, or of too little, nothing.
void note_pace(paces& known, ports::worker_mode mode, const ports::worker_result& r, base::wall_time now);

// Of what stands before the swap, which is a rename. The node's own start comes after it, and is not known here.
struct time_estimate {
  std::optional<base::duration> fetch;   // 0: all is in the cache; nothing: not known
  std::optional<base::duration> unpack;  // 0: unpacked beforehand, or while it comes; nothing: not known
  bool at_hand = false;                  // fetched and unpacked beforehand
  bool unpacked_meanwhile = false;
  bool no_size = false;                        // nobody says how large it is
  std::optional<base::wall_time> measured_at;  // of the older of those that were used

  [[nodiscard]] std::optional<base::duration> total() const {
    return fetch && unpack ? std::optional(*fetch + *unpack) : std::nullopt;
  }
};

// `at_hand`: a prefetch has left this very candidate unpacked.
time_estimate estimate_time(const paces& known, const ports::candidate& c, const space_decision& way, bool at_hand);

// "about 1m10s to fetch, unpacked meanwhile (as measured 2026-11-22T10:00:00Z); the node is down all that time, and
// …". `node_runs`: it is left alone until all is prepared. `imports`: by the recipe's [import], before the node
// starts.
std::string text_of(const time_estimate& e, bool in_place, bool node_runs, bool imports);

}  // namespace hasup::recovery
