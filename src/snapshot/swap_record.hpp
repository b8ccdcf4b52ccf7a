// DATA_DIR/.hasup/swap.json: what a swap is about to do, durable before it does it. As long as the file is there, an
// ordinary start is forbidden.
//
//   (none) -- swap --> intent --> swapped --+-- clean_up --> confirmed --> (none)
//                        |                  |
//                        +---- roll_back ---+--> rolling_back --> (none)
//
//   (none) -- wipe --> wiped -- swap --> intent …   with `wiped`: a roll back comes back to wiped, not to (none)
//
//   intent        renames may be half done; swap goes on, roll_back undoes
//   swapped       all entries are in place, the old ones in aside/
//   confirmed     the new state is good; aside/ may be half deleted, so there is no way back
//   rolling_back  entries are on their way back; only roll_back may go on
//   wiped         the old entries are being deleted, or gone; `deleted` says which, and there is no way back
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/enum_names.hpp"
#include "snapshot/disk.hpp"
#include "snapshot/wipe_rules.hpp"

namespace hasup::snapshot {

enum class swap_phase { intent, swapped, confirmed, rolling_back, wiped };
inline constexpr base::enum_names<swap_phase, 5> swap_phase_names{{{{swap_phase::intent, "intent"},
                                                                    {swap_phase::swapped, "swapped"},
                                                                    {swap_phase::confirmed, "confirmed"},
                                                                    {swap_phase::rolling_back, "rolling_back"},
                                                                    {swap_phase::wiped, "wiped"}}}};

// What becomes of shared entries, which the node goes on with where they stand, at a roll back.
enum class shared_fate {
  stays,      // what the node wrote to them stays: a roll back is inexact
  cloned,     // what they were comes back from clones/, and what was not there goes
  untouched,  // they are what they were: no node ran on them, since the swap did not come to its end
};
inline constexpr base::enum_names<shared_fate, 3> shared_fate_names{
    {{{shared_fate::stays, "stays"}, {shared_fate::cloned, "cloned"}, {shared_fate::untouched, "untouched"}}}};

struct swap_entry {
  std::string path;                   // relative to the data directory
  std::optional<identity> old_entry;  // what stood there
  std::optional<identity> new_entry;  // what replaces it

  friend bool operator==(const swap_entry&, const swap_entry&) = default;
};

// A file system of its own that entries lie in (volumes.hpp).
struct swap_volume {
  std::string path;
  std::string id;                   // not another one in its place
  std::uint64_t deleted_bytes = 0;  // by a wipe, in it

  friend bool operator==(const swap_volume&, const swap_volume&) = default;
};

struct swap_record {
  swap_phase phase = swap_phase::intent;
  std::string plan;
  std::vector<std::string> wipe, keep, shared;  // frozen: later jobs go by these
  std::vector<std::string> kept;                // what stood under `keep`, and was no empty directory
  std::vector<swap_volume> volumes;             // in which something is replaced
  std::vector<std::string> made_dirs;           // directories that had to be made for entries, outermost first
  std::vector<swap_entry> entries;
  bool wiped = false;               // in every phase: the old state is deleted, or its deletion has begun
  std::vector<swap_entry> deleted;  // what was, or is being, deleted; without new entries
  std::uint64_t deleted_bytes = 0;  // what that took on the data directory's own file system
  shared_fate shared_as = shared_fate::stays;
  std::vector<swap_entry> clones;  // with `cloned`: what stands in place as the old entry, its clone as the new one
  std::string not_cloned;          // with `stays`: why; "" = unknown

  friend bool operator==(const swap_record&, const swap_record&) = default;
};

std::string encode(const swap_record& record);
base::result<swap_record> decode_swap_record(std::string_view json);

// `own` is the descriptor of .hasup. No file is an empty optional.
outcome<std::optional<swap_record>> read_swap_record(int own);
// The same below a data directory, for who only looks; nothing when it cannot be read.
std::optional<swap_record> swap_record_below(int data_dir);
outcome<void> write_swap_record(int own, const disk& d, const swap_record& record);

}  // namespace hasup::snapshot
