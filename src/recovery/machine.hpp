// next(state, event, now) -> actions: every decision of a recovery, without an effect, a clock or chance.
//
// Promises: nothing under the data directory changes before `swapping` is written; the old state is deleted only
// after `confirmed` is written; the node is started only on a whole swapped state or, by others, on the old one; each
// worker job that the machine asks for can be asked for again after a crash.
#pragma once

#include "recovery/state.hpp"

namespace hasup::recovery {

struct instant {
  base::mono_time mono;
  base::wall_time wall;
};

// Bounds that are no part of a recipe.
inline constexpr unsigned tries_of_a_source = 5;  // 1 s, 2 s, 4 s, 8 s apart
inline constexpr unsigned tries_of_a_worker = 3;  // that died or failed for no known reason
inline constexpr unsigned tries_of_a_roll_back = 5;
inline constexpr unsigned tries_of_a_start = 5;  // and at least confirm.within, when the node is not to blame
inline constexpr unsigned tries_of_a_held_start = 3;
inline constexpr unsigned most_without_room = 200;  // snapshots in a row; a listing may be of any length
inline constexpr base::duration longest_pause{60'000};
inline constexpr base::duration first_start_limit{
    86'400'000};  // until startup passes: large snapshots load for hours

// Changes the state and appends what must be done. Events that mean nothing in a state are ignored there.
void next(state& s, const event& e, instant now, actions& out);

// What a recovery would do, for `recover --dry-run`: for people, and as one JSON object.
struct plan_description {
  std::string text;
  std::string json;
};
// `candidates` as `select` gave them or candidate_from_file(), `notes` likewise. An error when it would do nothing,
// because no plan or no snapshot is the one that is asked for.
base::result<plan_description> describe_plan(const frozen& plan, const memory& remembered,
                                             const std::vector<ports::candidate>& candidates,
                                             const std::vector<std::string>& notes, instant now);

// How much room the first candidate of each plan needs and what there is, to be put behind the text above. An error
// when there is room for none.
base::result<std::string> describe_room(const frozen& plan, const memory& remembered,
                                        const std::vector<ports::candidate>& candidates,
                                        const ports::room_found& room);
struct dry_run_facts {
  ports::room_found room;
  std::optional<ports::warm_set> warm;  // what a prefetch left
  bool node_runs = false;               // so that a recovery would be prepared beside it
};
// Both together, and how long the first candidate of each plan would take before the swap.
base::result<plan_description> with_room(plan_description described, const frozen& plan, const memory& remembered,
                                         const std::vector<ports::candidate>& candidates, const dry_run_facts& facts);

}  // namespace hasup::recovery
