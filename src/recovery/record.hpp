// The journal of a recovery: what is written down, durably, before the next thing is done.
//
// A record says what is about to be done or what has been learned; the work after it can be repeated. What is true
// when everything dies right after a record became durable, and what goes on then:
//
// clang-format off
//   last record    | data directory                 | node           | goes on with
//   ---------------+--------------------------------+----------------+------------------------------------------------
//   (none)         | old                            | as it was      | nothing: the unit fails its start once more
//   begun          | old                            | being stopped *| quiesce, inspect, select
//   selected       | old                            | stopped *      | quiesce, inspect, the next candidate; after those of
//                  |                                |                | a prefetch, which have `settled`, select
//   trying         | old; cache, staging may grow   | stopped *      | the same candidate: looks for room, fetch resumes
//   fetched        | old; cache holds the archive   | stopped *      | fetch again (finds the cache), unpack
//   dropped        | old                            | stopped *      | the next candidate, or the end
//   wiping         | old, half deleted, or gone     | stopped        | the deletion again: swap.json says what of
//   wiped          | gone; cache holds the archive  | stopped        | unpack
//   staged         | old; staging is whole          | stopped *      | the swap, or asking in mode ask
//   approved       | old; staging is whole          | stopped *      | the swap
//   swapping       | old, new, or half of each      | stopped        | the swap again: swap.json says what is done
//   swapped        | new; old is aside              | never started  | the first start
//   importing      | new, touched by the import     | the import may | with a living import: wait for its end; else rewipe and
//                  |                                | run            | import anew: how it ended while nobody looked
//                  |                                |                | is not known to be of this import
//   imported       | new, whole                     | never started  | the first start
//   first_start    | new, touched by the node       | may run        | with a living node: watch it; else rewipe, start
//   loaded         | new, beyond the snapshot       | may run        | confirm, starting without the extra arguments
//   confirmed      | new; aside is being deleted    | may run        | clean_up again; never a way back from here
//   rolling_back   | new, old, or half of each      | being stopped  | roll_back again: swap.json says what is done
//   rolled_back    | old, as it was **              | stopped        | the next candidate, or the end
//   undo_wanted    | as the record before it says   | likewise       | rolling_back, unless it is rolled back already
// clang-format on
//
// * With options.beside the node runs on its old state until the swap is due: then, after `staged` or `approved`, it
//   is stopped, and quiesce and inspect come right before `swapping`. If it still runs when the next hasupd comes,
//   the same goes on beside it; if it does not, this is a recovery like any. One that was prepared for a head that
//   stood still (options.newer_than) may have been called off right before: the next hasupd stops the node only when
//   it has heard of that head itself, or a person has said yes, and ends the recovery where the node does not run
//   when it comes. A node that ends by itself later is not started before it is recovered.
//
// * In place (space_plan.hpp): `wiping` and `wiped` come between `fetched` and `staged`. From `wiping` on there is no
//   old state: where the table says "old", there is nothing, `aside` holds nothing of it, and a roll back only takes
//   away what the swap brought. A recovery that ends then without a node leaves swap.json, which forbids any start,
//   and the archive in the cache; the next one goes on from there.
//
// ** Entries that the plan shares are in place all the time and hold what the node wrote to them. Where the file
// system
//   has reflinks they are cloned before the swap and are as they were again; else `inexact` says so.
//
// Units that read the data (data.shared_with) run while it is the old one: they are stopped right before `wiping` or
// `swapping`, and held down until `confirmed` or `rolled_back`, by a hasupd that comes in between from its start on.
//
// A journal that is gone while swap.json exists is noticed by `inspect`; that marker also forbids any ordinary start.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/duration.hpp"
#include "base/enum_names.hpp"
#include "base/result.hpp"
#include "model/recipe.hpp"
#include "model/unit.hpp"
#include "ports/worker_job.hpp"

namespace hasup::recovery {

// What a person asked for; all empty for a recovery that began by itself.
struct options {
  std::string snapshot;    // only candidates with an archive of this name, even if it is marked bad
  std::string plan;        // only this plan
  std::string from;        // absolute path of a local archive instead of a source
  bool yes = false;        // mode ask: do not ask
  bool by_hand = false;    // goes beyond the budget
  bool beside = false;     // begun while the node runs, which is stopped only when its replacement is staged
  bool explained = false;  // a class of the recipe said recover
  // The state is good but does not get beyond this block: only snapshots that are said to be beyond it.
  std::optional<std::uint64_t> newer_than{};
  std::string leader{};  // the unit whose recovery this one goes with (group.hpp); "" = it leads itself
  std::string set{};     // with a leader: only archives of this backup

  friend bool operator==(const options&, const options&) = default;
};

// Everything a recovery runs on, frozen when it begins: changes of unit files do not reach it.
struct frozen {
  std::string unit;  // "leap", "miner@1"
  std::string why;
  options asked;
  std::string data_dir;           // absolute
  std::vector<std::string> also;  // absolute
  std::vector<std::string> mounts;
  std::vector<model::source> sources;
  model::recipe recipe;
  model::recovery_mode mode = model::recovery_mode::automatic;
  model::checksum_policy checksum = model::checksum_policy::if_present;
  unsigned budget_count = 3;  // swaps; 0 = no limit
  base::duration budget_within{86'400'000};
  base::duration max_snapshot_age{0};
  std::uint64_t max_rate = 0;    // bytes a second; 0 = as fast as it goes
  std::uint64_t max_window = 0;  // bytes that a zstd archive may look back; 0 = as far as the format goes
  std::string public_key;        // "" = signatures are not looked at
  std::uint64_t min_free = 0;
  model::space_policy space = model::space_policy::stage;
  bool has_head = true;                // a probe of the unit says where the head of the chain is
  bool tells_health = true;            // a probe of the unit says that it has started, or is well
  std::string group{};                 // [recovery] group; "" = it is restored by itself
  std::vector<std::string> members{};  // the others of the group, if this one leads them
};

// What became of a candidate.
enum class fate {
  untried,
  unreachable,  // could not be had, or may not be used; nothing is known against it
  bad,          // its archive is damaged, or a node ended by itself on it
  refused,      // the node said that it does not fit this plan
  environment,  // the node could not run on it for reasons that are not its fault
};
inline constexpr base::enum_names<fate, 5> fate_names{{{{fate::untried, "untried"},
                                                        {fate::unreachable, "unreachable"},
                                                        {fate::bad, "bad"},
                                                        {fate::refused, "refused"},
                                                        {fate::environment, "environment"}}}};

// What follows a roll back.
enum class after_roll_back { next, again, end_refused, end_rolled_back, end_by_hand };
inline constexpr base::enum_names<after_roll_back, 5> after_roll_back_names{
    {{{after_roll_back::next, "next"},
      {after_roll_back::again, "again"},
      {after_roll_back::end_refused, "end_refused"},
      {after_roll_back::end_rolled_back, "end_rolled_back"},
      {after_roll_back::end_by_hand, "end_by_hand"}}}};

struct begun {
  frozen plan;
};
struct selected {
  std::vector<ports::candidate> candidates;
  // Of what a prefetch left, all candidates being of the same archives: the sha256 of each. Once these are tried in
  // vain the sources are asked, and `selected` comes once more.
  std::vector<std::string> settled{};
  std::string settled_by{};  // what verified them; "" = nothing
};
struct trying {
  std::size_t candidate = 0;
};
struct fetched {
  std::vector<std::string> sha256;
  bool verified = false;
};
struct dropped {
  std::size_t candidate = 0;
  fate of = fate::bad;
  std::string why;
};
struct staged {
  std::map<std::string, std::string> archive_paths;
};
struct approved {
  bool in_place = false;  // that the old state is deleted, too
};
// The old state is deleted for the candidate being tried, whose archives are whole in the cache.
struct wiping {};
// It is gone; also found so, when an earlier recovery deleted it.
struct wiped {};
struct swapping {
  base::wall_time at;  // counts towards the budget, to the millisecond
};
struct swapped {};
struct first_start {
  unsigned attempt = 1;
};
struct loaded {};
// The recipe's [import] runs in the node's place.
struct importing {
  unsigned attempt = 1;
};
// It ended well. The state is not wiped again for another start: that would lose the import, too.
struct imported {};
struct confirmed {};
struct rolling_back {
  after_roll_back then = after_roll_back::next;
  std::string why;
  bool renamed_nothing = false;  // the swap was refused before it began: it does not count towards the budget
};
struct rolled_back {
  std::string inexact{};  // in what the state that is back differs from what it was (worker_result); "" = in nothing
};
// A person or the group wants the old state back, perhaps while something moves files or spawns the node.
struct undo_wanted {
  std::string why{};  // the group's reason; "" = a person's
};

using record =
    std::variant<begun, selected, trying, fetched, dropped, staged, approved, swapping, swapped, first_start, loaded,
                 confirmed, rolling_back, rolled_back, undo_wanted, wiping, wiped, importing, imported>;

inline constexpr int record_version = 1;

// One JSON object {"version":1,"record":"swapping",…}. A newer version or an unknown record is an error that says so.
std::string encode(const record& r);
base::result<record> decode(std::string_view json);

}  // namespace hasup::recovery
