// Is there room for a candidate beside the old state, or only in its place? Pure: from what the worker measured and
// what the listing says.
//
// What can never be swapped is refused here, too: neither is worth fetching anything.
//
// At its height a recovery has on the file system of DATA_DIR the old state, the archives, what comes out of them,
// and where the node itself loads an archive, the state that it makes of it; the old state goes only once the node is
// confirmed. So all that is written anew must fit in what is free.
//
// How much of the new state comes to a file system of its own in the data directory (a volume) is known only once it
// is unpacked, beside the data directory; copying it there looks for itself, before the swap. What stands there now
// is a hint, which a person is told.
//
// In place, the archives must fit in what is free, and the rest in that and what the old state takes: it is deleted
// once the archives are here and verified. There is no way back from that, so without being told (space = "in_place")
// it is done only
//   - when there is no room for both,
//   - when a class of the recipe said recover, or a person asked for the recovery, who then must say yes,
//   - when all sizes are known, of volumes too: never on a guess,
//   - and, as always in place, for archives with a checksum or signature.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "model/recipe.hpp"
#include "ports/worker_job.hpp"
#include "recovery/record.hpp"

namespace hasup::recovery {

// A compressed archive of which no manifest says what comes out of it is reckoned to have so many times its size.
inline constexpr std::uint64_t guessed_ratio = 3;

// Bytes on the disk.
struct space_need {
  struct archive {
    std::string name;
    std::uint64_t to_fetch = 0;  // beyond what is in the cache

    friend bool operator==(const archive&, const archive&) = default;
  };
  std::vector<archive> archives;  // in the order in which they are fetched
  std::uint64_t unpacked = 0;
  std::uint64_t rebuilt = 0;  // by the node, from an archive that it loads: as much as the old state has
  bool guessed = false;       // part of `unpacked` is by guessed_ratio
  bool unknown = false;       // an archive's size is not known: the sums are without it
  std::uint64_t freed = 0;    // by deleting what the plan replaces; see promised_room
  unsigned plan = 0;          // index into recipe.plans

  [[nodiscard]] std::uint64_t to_fetch() const;
  [[nodiscard]] std::uint64_t total() const;
  friend bool operator==(const space_need&, const space_need&) = default;
};

// What of a need comes to a volume, for one of the plans.
std::uint64_t share_of(const space_need& need, const ports::volume_room& volume, unsigned plan,
                       const ports::room_found& room);

space_need space_need_of(const ports::candidate& c, const model::recovery_plan& plan, const ports::room_found& room);

struct space_plan {
  bool fits = true;  // also when a size is not known: fetching and unpacking look for themselves
  std::string text;  // the sum, for a person: "s3 needs 210GiB (60GiB to fetch, 150GiB unpacked); /data has …"
};

// `name` of the candidate; `min_free` stays free. A refusal says by how much it fails and what can be done.
space_plan plan_space(const std::string& name, const std::string& data_dir, const space_need& need,
                      const ports::room_found& room, std::uint64_t min_free);

struct space_decision {
  bool fits = true;
  bool swappable = true;  // else it does not fit, whatever room there is, and neither does any other of its plan
  bool in_place = false;
  std::string text;  // as above
  space_need need;
};

// The way that a candidate goes.
space_decision decide_space(const frozen& plan, const ports::candidate& c, const ports::room_found& room);

// What a recovery with that need will still take, seen from another one: phase, archive and bytes as its worker tells
// them. Rather too much than too little: what was unpacked while it came is not known here.
std::uint64_t still_to_write(const space_need& need, const ports::worker_progress& progress);

}  // namespace hasup::recovery
