// next(memory, event, facts) -> actions: every decision about a unit's life, without an effect, clock or chance.
#pragma once

#include "model/recipe.hpp"
#include "model/unit.hpp"
#include "unit/action.hpp"
#include "unit/event.hpp"
#include "unit/reference.hpp"
#include "unit/state.hpp"

namespace hasup::unit {

// What the machine is told beside the event.
struct facts {
  const model::unit* unit = nullptr;
  const model::recipe* recipe = nullptr;  // null: the unit has none
  bool requirements_met = true;
  std::string waiting_for;       // for the reason, when they are not met
  bool data_recovers = false;    // of shared_with: about to be replaced, so it is no use to give up on it
  bool maintenance = false;      // a person works on it: no recovery, and no restart of what runs, by itself
  bool recovery_parked = false;  // a journal is there: the next start goes on with that recovery
  // And cannot be read: what runs is left running, because nobody may start it again before a person has looked.
  bool journal_damaged = false;
  bool recovery_beside = false;  // one is prepared while the node runs: the node's end, however it comes, begins it
  // And nobody asked for that one: the head stands still here. Called off when it is passed.
  std::optional<std::uint64_t> beside_for_head{};
  std::string after_endpoint;  // of an exit with the action next_endpoint: what that comes to, in words
  others reference;            // whether others advance, while the own head stands still
  base::wall_time now;
  double chance = 0.5;  // [0, 1), for the jitter
};

// Changes the memory and appends what must be done. Events that mean nothing in a state are ignored there.
void next(memory& m, const event& e, const facts& f, actions& out);

}  // namespace hasup::unit
